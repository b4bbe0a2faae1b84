"""Files that a local command leaves, as outputs: `assetPaths` and `archivePaths`."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from plugins.command.wire import Properties, archive, file_asset

_GLOB_PART = re.compile(r"\*\*|\*|\?|\[[^]]+\]|\\.|.", re.DOTALL)
_GLOB_MEANING = {"**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}


def outputs(folder: str, inputs: Properties) -> Properties:
    """The assets and the archive that `inputs` ask for, from files under `folder`."""
    found: Properties = {}
    if "assetPaths" in inputs:
        found["assets"] = _assets(folder, inputs["assetPaths"])
    if "archivePaths" in inputs:
        found["archive"] = archive(_assets(folder, inputs["archivePaths"]))
    return found


def _assets(folder: str, globs: Sequence[str]) -> Properties:
    return {path: file_asset(str(Path(folder, path))) for path in matching_files(folder, globs)}


def matching_files(folder: str, globs: Sequence[str]) -> list[str]:
    """Files under `folder`, relative to it: those whose last matching glob does not start with `!`."""
    rules = [(glob_pattern(glob.removeprefix("!")), glob[:1] != "!") for glob in reversed(globs)]
    walked = (Path(root, name) for root, _, names in os.walk(folder) for name in names)
    paths = sorted(path.relative_to(folder).as_posix() for path in walked)
    return [path for path in paths if next((keep for rule, keep in rules if rule.fullmatch(path)), False)]


def glob_pattern(glob: str) -> re.Pattern[str]:
    """A glob of pulumi-command as a regular expression: `*` stays within a folder, `**` does not.

    Also `?`, `[a-z]`, `[!a-z]`, `{one,other}`, and a backslash before a character that stands for itself.
    """
    pattern, depth = "", 0
    for part in _GLOB_PART.findall(glob):
        depth += {"{": 1, "}": -1}.get(part, 0)
        if part in _GLOB_MEANING:
            pattern += _GLOB_MEANING[part]
        elif part == "," and depth:
            pattern += "|"
        elif len(part) > 1 and part[0] == "[":
            pattern += part.replace("[!", "[^", 1)
        else:
            pattern += re.escape(part[-1])
    return re.compile(pattern, re.DOTALL)
