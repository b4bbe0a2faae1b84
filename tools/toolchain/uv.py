"""uv, and the project's Python environment that it makes from the lock file."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.toolchain import loopback
from tools.toolchain.common import PROJECT, Tool, dotted, made_whole, run, say, version_of

VERSION = "0.13.9"
OLDEST = (0, 7, 0)
"""Oldest version that reads this project's lock file and can check an environment against it."""

VENV = PROJECT / ".venv"

LOADED = (
    "boto3",
    "components.aws.nodes",
    "nodectl.verbs.apply",
    "nodectl.verbs.proof",
    "pip._internal.commands.list",
    "policy.pack",
    "program.nodes",
    "pulumi.run.plugin",
    "pulumi_aws.iam.role",
    "pulumi_aws.ssm.get_parameter",
    "pulumi_aws.vpc.security_group_ingress_rule",
    "remote.__main__",
)
"""Modules that runs load: the program's, those it starts, late imports of Pulumi's AWS SDK, Pulumi's own."""


def ensure(cache: Path, path: str) -> Tool:
    """Return the user's own uv, else one from the package index. Raises ToolchainError if neither works."""
    installed = shutil.which("uv", path=path)
    version = version_of(installed, "--version") if installed and _is_program(installed) else None
    if installed and version and version >= OLDEST:
        return Tool(Path(installed), dotted(version), "on PATH")
    home = cache / "uv" / VERSION
    if home.exists():
        return Tool(home / "bin/uv", VERSION, "cached")
    say(f"getting uv {VERSION} from the package index: seconds")
    with made_whole(home) as partial:
        pip = [base_python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(
            [*pip, "--target", str(partial), f"uv=={VERSION}"],
            f"cannot get uv {VERSION} from the package index; put uv on PATH, or install pip for"
            f" {base_python()} and check the index's address",
        )
    return Tool(home / "bin/uv", VERSION, "installed")


def ensure_project(uv: Path) -> str:
    """Install the project environment of the lock file; return `installed`, or `cached` if it was there."""
    sync: list[str | Path] = [uv, "sync", "--locked"]
    if sys.prefix != str(VENV):
        sync += ["--python", sys.executable]
    settings = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(VENV), "UV_PYTHON_DOWNLOADS": "never"}
    check = subprocess.run([*sync, "--check"], cwd=PROJECT, env=settings, capture_output=True, check=False)
    if check.returncode == 0:
        loopback.place(VENV)
        return "cached"
    say("installing the project environment: about a minute the first time")
    run(sync, "cannot install the project environment with `uv sync --locked`", env=settings)
    loopback.place(VENV)
    _keep_bytecode()
    return "installed"


def _keep_bytecode() -> None:
    """Compile the modules that runs load, even with PYTHONDONTWRITEBYTECODE, which many containers set.

    Without it, every run would compile Pulumi's AWS SDK again: 3.5 of the 9 seconds of a preview. Compiling
    the whole environment would take ten times as long.
    """
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    run(
        [VENV / "bin/python", "-c", f"import {', '.join(LOADED)}"],
        "cannot load what the project environment holds; delete .venv and run it again",
        env=settings,
    )


def _is_program(path: str) -> bool:
    """Return whether a file is a real program, not the shell script of a version manager.

    Pulumi calls uv several times in a run, and such a script costs up to a second each time.
    """
    with Path(path).open("rb") as file:
        return file.read(4) == b"\x7fELF"


def base_python() -> str:
    """Return the interpreter that the project environment is based on; it has pip, which uv leaves out."""
    return str(Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"))
