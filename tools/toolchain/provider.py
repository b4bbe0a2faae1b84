"""The `command` resource plugin: the official one if it can be installed, else this project's offline one."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tools.toolchain.common import PROJECT, say
from tools.toolchain.release import Site

VERSION = "1.2.1"
"""The SDK's version (pyproject.toml): the engine accepts no other."""

PROGRAM = "pulumi-resource-command"
OFFLINE = PROJECT / "plugins/command" / PROGRAM
INSTALL_SECONDS = 60


def user_home(environ: Mapping[str, str]) -> Path:
    """Return the folder in which the user's own Pulumi stores plugins and logins."""
    return Path(environ.get("PULUMI_HOME") or Path.home() / ".pulumi")


def official(home: Path) -> bool:
    """Return whether the official plugin is completely installed in a Pulumi home."""
    folder = _folder(home)
    return (folder / PROGRAM).exists() and not folder.with_name(f"{folder.name}.partial").exists()


def ensure(pulumi: Path, home: Path, site: Site) -> str:
    """Install the official plugin into the user's Pulumi home if possible; return `official` or `offline`."""
    if not official(home) and site.digest() is not None:
        say(f"installing the command provider {VERSION}: seconds")
        _install(pulumi, home, site)
    return "official" if official(home) else "offline"


def _install(pulumi: Path, home: Path, site: Site) -> None:
    argv: list[str | Path] = [pulumi, "plugin", "install", "resource", "command", VERSION]
    environment = {**os.environ, "PULUMI_HOME": str(home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        subprocess.run(argv, env=environment, capture_output=True, check=True, timeout=INSTALL_SECONDS)
    except subprocess.SubprocessError:
        say("  not to be had from here; the offline provider serves")
        site.avoid()


def provide_offline(home: Path) -> None:
    """Link the offline provider into a Pulumi home of this clone, unless another is installed there."""
    program = _folder(home) / PROGRAM
    if program.is_symlink():
        if program.readlink() == OFFLINE:
            return
    elif program.exists():
        return
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as folder:  # several shells may be set up at the same time
        link = Path(folder, PROGRAM)
        link.symlink_to(OFFLINE)
        link.replace(program)


def _folder(home: Path) -> Path:
    return home / "plugins" / f"resource-command-v{VERSION}"
