"""How long commands take."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def seconds(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: str = ""
) -> float:
    """Return the wall time of a command that must succeed; what it printed is shown where it does not."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=env, input=stdin, capture_output=True, text=True, check=False)
    took = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{command[0]} failed with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return took
