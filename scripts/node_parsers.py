"""Asks the real argument parsers of the locked Dynamo and vLLM; needs the Python of a `cpu` environment.

`node_parsers.py list` prints every flag that they know, as `planning/flags/known.json` holds it.
`node_parsers.py check` reads `[[module, [argument, …]], …]` on standard input and prints for each what its
parser says against it, or null. Abbreviated flags, which argparse would accept, are refused.
"""

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Final

MODULES: Final = {
    "dynamo.frontend": ("dynamo.frontend.main", "parse_args"),
    "dynamo.mocker": ("dynamo.mocker.args", "parse_args"),
    "dynamo.vllm": ("dynamo.vllm.args", "_parse_cli_args"),
}
"""Module -> the function that reads its command line, without starting anything."""


def main(command: str) -> None:
    """Answer on standard output; what the imports print goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        answer = known() if command == "list" else [complaint(*case) for case in json.load(sys.stdin)]
    print(json.dumps(answer, indent=1, sort_keys=True))


def known() -> dict[str, dict[str, Any]]:
    """Return, for each module, its flags and what they take."""
    return {module: _flags(module) for module in MODULES}


def complaint(module: str, arguments: Sequence[str]) -> str | None:
    """Return what the parser of `module` says against `arguments`, or None."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            _parse(module, arguments)
    except SystemExit:
        return said.getvalue().strip() or "refused without a word"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _parse(module: str, arguments: Sequence[str]) -> None:
    name, function = MODULES[module]
    parse = getattr(import_module(name), function)
    sys.argv = [module, *arguments]
    parse() if module == "dynamo.frontend" else parse(list(arguments))


def _flags(module: str) -> dict[str, Any]:
    with _recorded() as parsers:
        complaint(module, [])
    actions = {
        option.removeprefix("--"): action
        for parser in parsers
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and option not in ("--help", "--version")
    }
    return {
        name: _described(action, off=f"no-{name}" in actions)
        for name, action in actions.items()
        if name.removeprefix("no-") == name or name.removeprefix("no-") not in actions
    }


def _described(action: argparse.Action, *, off: bool) -> dict[str, Any]:
    takes = {0: "nothing", None: "value", "?": "optional"}.get(action.nargs, "values")
    choices = sorted(str(choice) for choice in action.choices) if action.choices else None
    return {"takes": takes} | ({"off": True} if off else {}) | ({"choices": choices} if choices else {})


@contextlib.contextmanager
def _recorded() -> Iterator[list[argparse.ArgumentParser]]:
    """Collect every parser that is asked to parse: Dynamo, its router and vLLM each bring one."""
    parsers: list[argparse.ArgumentParser] = []
    parser_class: Any = argparse.ArgumentParser
    original = parser_class.parse_known_args

    def parse_known_args(self: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> Any:
        parsers.append(self)
        return original(self, *args, **kwargs)

    parser_class.parse_known_args = parse_known_args
    try:
        yield parsers
    finally:
        parser_class.parse_known_args = original


def _refuse_abbreviations() -> None:
    parser_class: Any = argparse.ArgumentParser
    parser_class._get_option_tuples = lambda *_: []


if __name__ == "__main__":
    _refuse_abbreviations()
    main(sys.argv[1])
