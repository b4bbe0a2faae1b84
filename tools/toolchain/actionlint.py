"""Build actionlint, which checks the workflows, from its Go module, and run it with the given arguments.

Some networks do not reach its releases; the Go module proxy is needed for the Pulumi CLI anyway.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.toolchain.common import ToolchainError, made_whole, run, say, user_cache
from tools.toolchain.source import find_go

VERSION = "1.7.7"
PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint"


def ensure(cache: Path) -> Path:
    """Return the program, built once per user. Raises ToolchainError if that fails."""
    home = cache / "actionlint" / VERSION
    if not home.exists():
        say(f"building actionlint {VERSION} from its Go module: about a minute, once")
        with made_whole(home) as partial:
            _build(partial)
    return home / "bin/actionlint"


def _build(home: Path) -> None:
    scratch = home / "build"
    scratch.mkdir()
    uv = shutil.which("uv")
    if uv is None:
        raise ToolchainError('no uv on PATH: run `eval "$(scripts/env)"` first')
    settings = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOBIN": str(home / "bin"),
        "GOCACHE": str(scratch / "compiled"),
        "GOFLAGS": "-modcacherw -trimpath",
        "GOMODCACHE": str(scratch / "modules"),
        "GOTOOLCHAIN": "local",
    }
    run(
        [find_go(Path(uv), scratch), "install", f"{PACKAGE}@v{VERSION}"],
        f"cannot build actionlint {VERSION}; fix GOPROXY",
        env=settings,
    )
    shutil.rmtree(scratch)


def main() -> int:
    """Run actionlint; return the exit status. A problem with getting the program is one message."""
    try:
        program = ensure(user_cache())
    except (ToolchainError, OSError) as error:
        print(f"actionlint: {error}", file=sys.stderr)
        return 1
    return subprocess.run([program, *sys.argv[1:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
