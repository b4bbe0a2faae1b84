"""`nodectl secrets`: keeps the secrets on standard input as files that only the node's own user can read."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from nodectl.common.layout import Layout
from nodectl.common.lock import locked
from nodectl.contract import documents
from nodectl.contract.manifest import EnvName
from nodectl.services import secret_files, supervision
from nodectl.verbs import options

_VALUES: Final = TypeAdapter(dict[EnvName, Annotated[str, Field(pattern=r"^[^\x00]+$")]])
_WHAT: Final = "a JSON object of environment names and their values"


def main(argv: Sequence[str]) -> int:
    """Make the JSON object on standard input (environment name: value) the node's secrets."""
    layout = Layout.at(options.parser("secrets", main.__doc__).parse_args(argv).root)
    values = documents.checked(_VALUES, documents.document(sys.stdin.read(), _WHAT), _WHAT)
    with locked(layout):
        restarted = secret_files.keep(values, layout, supervision.supervisor(layout))
    print(json.dumps({"secrets": sorted(values), "restarted": sorted(restarted)}))
    return 0
