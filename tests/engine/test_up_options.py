"""The options that `scripts/up` hands on are `pulumi up`'s own, with the values that it takes."""

import re
import subprocess
from typing import Any

import typer.main

from operations.cli import tool
from tests.engine.deployment.checkout import PROJECT


def test_pulumi_knows_every_option_that_an_up_hands_on() -> None:
    printed = subprocess.run(
        ["bash", "-c", 'eval "$(scripts/env local)"; pulumi up --help'],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rows = re.findall(r"^ +(?:(-\w), )?(--[\w-]+)( [A-Za-z0-9]+(?=\s{2,})| file:)?", printed, re.MULTILINE)
    switches = {(name, short) if short else (name,) for short, name, value in rows if not value}
    values = {(name, short) if short else (name,) for short, name, value in rows if value}
    command: Any = typer.main.get_command(tool())
    options = [param for param in command.commands["up"].params if param.opts[0].startswith("--")]
    ours: dict[bool, set[tuple[str, ...]]] = {True: set(), False: set()}
    for option in options:
        ours[option.is_flag].add(tuple(option.opts))
    assert all(ours.values())
    assert ours[True] - switches == set()
    assert ours[False] - values == set()
