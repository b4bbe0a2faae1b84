"""`nodectl secrets`: keeps the secrets on standard input as files that only the node's own user can read."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated

from nodectl.common.layout import Layout
from nodectl.common.lock import locked
from nodectl.contract import codec
from nodectl.contract.forms import EnvName, pattern
from nodectl.services import secret_files, supervision
from nodectl.verbs import options

_Values = dict[EnvName, Annotated[str, pattern(r"[^\x00]+", "text without null characters")]]


def main(argv: Sequence[str]) -> int:
    """Make the JSON object on standard input (environment name: value) the node's secrets."""
    layout = Layout.at(options.parser("secrets", main.__doc__).parse_args(argv).root)
    values = codec.read(_Values, sys.stdin.read(), "a JSON object of environment names and their values")
    with locked(layout):
        restarted = secret_files.keep(values, layout, supervision.supervisor(layout))
    print(json.dumps({"secrets": sorted(values), "restarted": sorted(restarted)}))
    return 0
