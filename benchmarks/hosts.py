"""From booted hosts to proof: ours, the same units by hand-written ssh (the floor), and an Ansible playbook.

Every case starts on hosts that were just booted on empty disks and ends with the same proof; the environments
and models are in place. Needs root, for the lab. Run in the shell that `scripts/env` sets up:
    .venv/bin/python -m benchmarks.hosts [--rounds N] [COUNT …]
Ratios of one run count: all cases take turns on one machine, which the hosts share with who brings them up.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import by_hand, left, playbook
from benchmarks.empty import UP, EmptyProgram
from benchmarks.left import Left
from benchmarks.timing import seconds
from scripts.hostlab.lab import USER, Lab
from tests.lab.stacks import LabStacks

NETWORK: Final = "10.86.0.0/24"
STACK: Final = "speed"
CASES: Final = ("empty program", "by hand", "ours", "Ansible")


@dataclass(frozen=True)
class Course:
    """What all cases on one number of hosts share: what is started there, and what must be seen."""

    stacks: LabStacks
    count: int
    left: Sequence[Left]
    proof: str

    def ours(self) -> float:
        return ours(self.stacks)

    def by_hand(self) -> float:
        """Return what starting and proving takes by hand-written ssh."""
        return self._proved(lambda: by_hand.start(self.left, self.stacks.lab.key, USER))

    def ansible(self, program: Path) -> float:
        """Return what it takes with a playbook."""
        return self._proved(lambda: playbook.start(program, self.left, self.stacks.lab.key, USER))

    def _proved(self, start: Callable[[], None]) -> float:
        begun = time.perf_counter()
        start()
        seconds([sys.executable, "-m", "nodectl", "proof"], stdin=self.proof)
        return time.perf_counter() - begun


def ours(stacks: LabStacks) -> float:
    """Return what `pulumi up` takes to its end, which is the proof."""
    return seconds([*UP, STACK], cwd=stacks.checkout.path, env=stacks.checkout.env)


def clean(lab: Lab, count: int) -> None:
    """Boot `count` hosts on empty disks."""
    with redirect_stdout(sys.stderr):
        lab.down()
        lab.up(count)


@contextmanager
def brought_up(stacks: LabStacks, count: int) -> Iterator[None]:
    """Have an aggregated stack with a worker a host that can be brought up, and take it down again."""
    stacks.write(STACK, {"pattern": "agg", "roles": {"aggregated": {"replicas": count}}}, hosts=count)
    stacks.checkout.run("pulumi", "stack", "select", "--create", "--stack", STACK)
    try:
        yield
    finally:
        stacks.down(STACK)


def course(stacks: LabStacks, count: int, folder: Path) -> Course:
    """Bring `count` hosts up once, untimed, and learn from them what the others are to start."""
    clean(stacks.lab, count)
    with brought_up(stacks, count):
        ours(stacks)
        return Course(stacks, count, left.take(stacks, STACK, folder), left.proof_spec(stacks, STACK))


def measured(
    count: int, rounds: int, folder: Path, empty: EmptyProgram, program: Path
) -> Mapping[str, list[float]]:
    """Return the times of every case on `count` hosts; the cases take turns."""
    stacks = LabStacks.make(folder / "checkout", Lab(NETWORK))
    run = course(stacks, count, folder / "left")
    times: dict[str, list[float]] = {case: [] for case in CASES}
    for _ in range(rounds):
        times["empty program"].append(empty.up())
        clean(stacks.lab, count)
        times["by hand"].append(run.by_hand())
        clean(stacks.lab, count)
        with brought_up(stacks, count):
            times["ours"].append(run.ours())
        clean(stacks.lab, count)
        times["Ansible"].append(run.ansible(program))
    return times


def table(count: int, times: Mapping[str, Sequence[float]]) -> str:
    """Return the medians and spreads of one number of hosts, and the ratios that count."""
    median = {case: statistics.median(found) for case, found in times.items()}
    lines = [f"{count} hosts"]
    for case, found in times.items():
        lines.append(f"  {case:<14} {median[case]:6.1f} s   ({min(found):.1f} to {max(found):.1f})")
    ratios = {
        "ours / by hand": median["ours"] / median["by hand"],
        "(ours - empty) / by hand, goal below 2": (median["ours"] - median["empty program"])
        / median["by hand"],
        "ours / Ansible, goal below 0.5": median["ours"] / median["Ansible"],
    }
    return "\n".join([*lines, *(f"  {value:6.2f}  {name}" for name, value in ratios.items())])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Times from booted hosts to proof.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("counts", type=int, nargs="*", default=[2, 4, 8], metavar="COUNT")
    options = parser.parse_args()
    program = playbook.ensure()
    tables = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "empty").mkdir()
        empty = EmptyProgram.make(folder / "empty")
        try:
            for count in options.counts:
                place = folder / str(count)
                place.mkdir()
                tables.append(table(count, measured(count, options.rounds, place, empty, program)))
                print(f"{tables[-1]}\n  load {os.getloadavg()[0]:.1f}", flush=True)
                shutil.rmtree(place)
        finally:
            Lab(NETWORK).down()


if __name__ == "__main__":
    main()
