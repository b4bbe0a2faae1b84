"""Outputs of a local command that are files: `assetPaths` and `archivePaths`."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from plugins.command.wire import Properties, archive, file_asset

_GLOB_PART = re.compile(r"\*\*|\*|\?|\[[^]]+\]|\\.|.", re.DOTALL)
_GLOB_MEANING = {"**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}


def outputs(folder: str, inputs: Properties) -> Properties:
    """Return the assets and the archive that `inputs` request, from files under `folder`."""
    properties: Properties = {}
    if "assetPaths" in inputs:
        properties["assets"] = _assets(folder, inputs["assetPaths"])
    if "archivePaths" in inputs:
        properties["archive"] = archive(_assets(folder, inputs["archivePaths"]))
    return properties


def _assets(folder: str, globs: Sequence[str]) -> Properties:
    return {path: file_asset(str(Path(folder, path))) for path in matching_files(folder, globs)}


def matching_files(folder: str, globs: Sequence[str]) -> list[str]:
    """Return the files under `folder`, relative to it, whose last matching glob does not start with `!`."""
    rules = [(glob_pattern(glob.removeprefix("!")), glob[:1] != "!") for glob in reversed(globs)]
    walked = (Path(root, name) for root, _, names in os.walk(folder) for name in names)
    paths = sorted(path.relative_to(folder).as_posix() for path in walked)
    return [
        path for path in paths if next((included for rule, included in rules if rule.fullmatch(path)), False)
    ]


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Return a glob of pulumi-command as a regular expression: `*` stays within a folder, `**` does not.

    Also `?`, `[a-z]`, `[!a-z]`, `{one,other}`, and a backslash before a character that stands for itself.
    """
    pattern, depth = "", 0
    for element in _GLOB_PART.findall(glob):
        depth += {"{": 1, "}": -1}.get(element, 0)
        if element in _GLOB_MEANING:
            pattern += _GLOB_MEANING[element]
        elif element == "," and depth:
            pattern += "|"
        elif len(element) > 1 and element[0] == "[":
            pattern += element.replace("[!", "[^", 1)
        else:
            pattern += re.escape(element[-1])
    return re.compile(pattern, re.DOTALL)
