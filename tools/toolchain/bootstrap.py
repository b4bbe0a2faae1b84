"""Get everything that this project runs with, once per user and version, and print it in one line.

Runs before any environment exists: standard library only.
"""

import contextlib
import fcntl
import os
import platform
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from nodectl.common.commandline import CommandLine
from tools.toolchain import provider, pulumi, uv
from tools.toolchain.common import TOOLCHAIN, ToolchainError, say, user_cache
from tools.toolchain.exported import before
from tools.toolchain.release import Site


def bootstrap() -> None:
    """Get missing tools. Raises ToolchainError if one cannot be had."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ToolchainError(
            f"this project runs on Linux on x86-64, and this is {platform.system()} on {platform.machine()}"
        )
    environ = before(os.environ)
    cache = user_cache()
    site = Site(cache, pulumi.VERSION)
    with _alone(cache):
        installer = uv.ensure(cache, environ["PATH"])
        project = uv.ensure_project(installer.program)
        cli = pulumi.ensure(cache, environ["PATH"], installer.program, site)
        command = provider.ensure(cli.program, provider.user_home(environ), site)
        for program in (cli.program, installer.program):
            _link(program)
    say(
        f"toolchain  pulumi {cli.version} ({cli.origin}) · command provider {provider.VERSION} ({command})"
        f" · project environment ({project})"
    )


@contextlib.contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Hold a lock against other bootstraps of this user; the system releases it if the holder is killed."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another scripts/bootstrap of this user")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _link(program: Path) -> None:
    """Link a program into this clone's PATH folder."""
    link = TOOLCHAIN / "bin" / program.name
    if link.is_symlink() and link.readlink() == program:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    replacement = link.with_name(f"{link.name}.new")
    replacement.unlink(missing_ok=True)
    replacement.symlink_to(program)
    replacement.replace(link)


def main() -> int:
    """Run; return the exit status. A problem is one message; after a signal nothing is left running."""
    CommandLine(prog="scripts/bootstrap", description=__doc__).parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        bootstrap()
    except (ToolchainError, OSError) as error:
        print(f"scripts/bootstrap: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
