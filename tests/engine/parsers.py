"""Questions to the argument parsers of the locked Dynamo and vLLM themselves (`tools/parsers`)."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]


def ask(
    python: str, command: str, cases: Sequence[tuple[str, list[str]]] = (), *, seconds: float = 300
) -> Any:
    """Return what the modules in the environment of `python` answer, within `seconds`."""
    completed = subprocess.run(
        [python, "-m", "tools.parsers", command],
        cwd=PROJECT,
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=True,
    )
    return json.loads(completed.stdout)
