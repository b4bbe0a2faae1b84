"""Query the parsers of the locked Dynamo and vLLM: `python -m tools.parsers known|check`, in this project.

`known` prints the content of `planning/commands/flags`, by file: every flag, and every environment name that
they read. It needs the Python of a `cpu` environment, which has vLLM.
`check` reads `[[module, [argument, …]], …]` on standard input and prints each module's error for its
arguments, or null, without connecting to anything. Abbreviations, which argparse accepts, are refused.
"""

import contextlib
import json
import os
import sys
from typing import Any

from tools.parsers import modules, options, variables


def main(command: str) -> None:
    """Print the answer on standard output; output of the imports goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        answer = _answer(command)
    print(json.dumps(answer, indent=1, sort_keys=True))


def _answer(command: str) -> Any:
    if command == "known":
        settable: Any = os
        # to see which names are read for which flag
        settable.environ = options.RecordingEnvironment(os.environ)
        return {"known.json": options.known(), "names.json": variables.known()}
    return [modules.complaint(*case) for case in json.load(sys.stdin)]


if __name__ == "__main__":
    if sys.argv[1:] in (["-h"], ["--help"]):
        sys.exit(print(f"usage: python -m tools.parsers known | check\n{__doc__}"))
    if sys.argv[1:] not in (["known"], ["check"]):
        print("tools.parsers: expected one argument, known or check", file=sys.stderr)
        sys.exit(2)
    modules.refuse_abbreviations()
    main(sys.argv[1])
