"""How much of `up` is Pulumi's own fixed cost: an empty program against the stack `local`, in one run.

Run in the shell that `scripts/env` sets up, with everything cached and the stack down:
    .venv/bin/python benchmarks/up.py [ROUNDS]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).parent.parent
EMPTY = f"""name: empty
runtime:
  name: python
  options: {{toolchain: uv, virtualenv: {PROJECT / ".venv"}}}
"""


def seconds(command: list[str], cwd: Path, env: dict[str, str]) -> float:
    """Return the wall time of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True)
    return time.perf_counter() - start


def main(rounds: int) -> None:
    """Time each case `rounds` times in turn and print medians and their ratio to the empty program."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder)
        (empty / "Pulumi.yaml").write_text(EMPTY, encoding="utf-8")
        (empty / "__main__.py").write_text("", encoding="utf-8")
        (empty / "state").mkdir()
        alone = dict(os.environ, PULUMI_BACKEND_URL=f"file://{empty}/state")
        subprocess.run(
            ["pulumi", "stack", "init", "empty"], cwd=empty, env=alone, check=True, capture_output=True
        )
        up = ["pulumi", "up", "--yes", "--skip-preview", "--stack"]
        here = dict(os.environ)
        cases: dict[str, Callable[[], float]] = {
            "empty program": lambda: seconds([*up, "empty"], empty, alone),
            "scripts/up local": lambda: seconds(["scripts/up", "local"], PROJECT, here),
            "no-op up": lambda: seconds([*up, "local"], PROJECT, here),
            "scripts/down local": lambda: seconds(["scripts/down", "local"], PROJECT, here),
        }
        times: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, case in cases.items():
                times[name].append(case())
    fixed = statistics.median(times["empty program"])
    for name, measured in times.items():
        median = statistics.median(measured)
        spread = f"{min(measured):.1f} to {max(measured):.1f}"
        print(f"{name:<20} {median:6.1f} s   {median / fixed:4.1f} x empty   ({spread})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
