"""Folder of plugins for the engine of these tests: those of the shell, and the stand-in for aws."""

import os
from pathlib import Path
from typing import Final

from tests.aws.standin.server import VERSION
from tools.toolchain.provider import VERSION as COMMAND_VERSION

STANDIN: Final = Path(__file__).parents[1] / "standin/pulumi-resource-aws"
WITHOUT_NODES: Final = STANDIN.with_name("pulumi-resource-command")
OFFICIAL: Final = "AWS_OFFICIAL_PROVIDER"
"""Environment variable: set, it leaves the stand-in out, so that the installed provider serves."""


def add_standin(home: Path, base: Path, *, nodes: bool = True) -> Path:
    """Make `home` a Pulumi home with the plugins of `base` and the stand-in; return it.

    Without `nodes` no command runs on any.
    """
    if not nodes:
        _link(home / f"plugins/resource-command-v{COMMAND_VERSION}" / WITHOUT_NODES.name, WITHOUT_NODES)
    for plugin in (base / "plugins").glob("resource-*/*"):
        _link(home / "plugins" / plugin.parent.name / plugin.name, plugin)
    if not os.environ.get(OFFICIAL):
        _link(home / f"plugins/resource-aws-v{VERSION}" / STANDIN.name, STANDIN)
    return home


def _link(link: Path, target: Path) -> None:
    """Link a file: the engine takes a linked program, and no linked folder."""
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target.resolve())
