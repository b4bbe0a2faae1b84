"""From booted hosts to proof: ours, the same units by hand-written ssh (the floor), and an Ansible playbook.

Every case starts on hosts that were just booted on empty disks and ends with the same proof; the environments
and models are in place. Needs root, for the lab. Run in the shell that `scripts/env` sets up:
    .venv/bin/python -m benchmarks.hosts [--rounds N] [COUNT …]
Ratios of one run count: all cases take turns on one machine, which the hosts share with who brings them up.
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import by_hand, left, playbook
from benchmarks.empty import UP, EmptyProgram
from benchmarks.left import Left
from benchmarks.timing import seconds
from nodectl.common.commandline import CommandLine
from tests.lab.stacks import LabStacks
from tools.hostlab.lab import USER, Lab

NETWORK: Final = os.environ.get("LAB_NETWORK") or "10.86.0.0/24"
STACK: Final = "speed"
CASES: Final = ("empty program", "by hand", "ours", "Ansible")
RATIOS: Final[Mapping[str, Callable[[Mapping[str, float]], float]]] = {
    "ours / by hand": lambda cost: cost["ours"] / cost["by hand"],
    "(ours - empty program) / by hand, goal 2": lambda cost: (
        (cost["ours"] - cost["empty program"]) / cost["by hand"]
    ),
    "ours / Ansible, goal 0.5": lambda cost: cost["ours"] / cost["Ansible"],
}


class Cost(NamedTuple):
    """What bringing hosts up takes."""

    seconds: float
    processor: float
    """Seconds of processors, here and on the hosts: tells the cases apart on a busy machine, too."""


@dataclass(frozen=True)
class Course:
    """What all cases on one number of hosts share: what is started there, and what must be seen."""

    stacks: LabStacks
    count: int
    left: Sequence[Left]
    proof: str

    def ours(self) -> Cost:
        """Return what `pulumi up` takes to its end, which is the proof."""
        return self.cost(lambda: ours(self.stacks))

    def by_hand(self) -> Cost:
        """Return what starting and proving takes by hand-written ssh."""
        return self.cost(lambda: self._proved(by_hand.start))

    def ansible(self) -> Cost:
        """Return what it takes with a playbook."""
        return self.cost(lambda: self._proved(playbook.start))

    def _proved(self, start: Callable[[Sequence[Left], Path, str], None]) -> None:
        start(self.left, self.stacks.lab.key, USER)
        seconds([sys.executable, "-m", "nodectl", "proof"], stdin=self.proof)

    def cost(self, run: Callable[[], object]) -> Cost:
        """Return what a run takes, here and on the hosts."""
        before, begun = self._processor(), time.perf_counter()
        run()
        return Cost(time.perf_counter() - begun, self._processor() - before)

    def _processor(self) -> float:
        here = resource.getrusage(resource.RUSAGE_CHILDREN)
        hosts = sum(host.processor_seconds for host in self.stacks.lab.hosts)
        return here.ru_utime + here.ru_stime + hosts


def ours(stacks: LabStacks) -> float:
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


def measured(count: int, rounds: int, folder: Path) -> Mapping[str, list[Cost]]:
    """Return the costs of every case on `count` hosts; the cases take turns."""
    stacks = LabStacks.make(folder / "checkout", Lab(NETWORK))
    (folder / "empty").mkdir()
    empty = EmptyProgram.make(folder / "empty")
    run = course(stacks, count, folder / "left")
    found: dict[str, list[Cost]] = {case: [] for case in CASES}
    for _ in range(rounds):
        found["empty program"].append(run.cost(empty.up))
        clean(stacks.lab, count)
        found["by hand"].append(run.by_hand())
        clean(stacks.lab, count)
        with brought_up(stacks, count):
            found["ours"].append(run.ours())
        clean(stacks.lab, count)
        found["Ansible"].append(run.ansible())
    return found


def table(count: int, costs: Mapping[str, Sequence[Cost]]) -> str:
    """Return the medians and spreads of one number of hosts, and the ratios that count."""
    lines = [f"{count} hosts          seconds                  of processors"]
    for case, found in costs.items():
        took, busy = [cost.seconds for cost in found], [cost.processor for cost in found]
        spread = f"({min(took):.1f} to {max(took):.1f})"
        lines.append(
            f"  {case:<14} {statistics.median(took):6.1f}  {spread:<16} {statistics.median(busy):6.1f}"
        )
    seconds, processor = (
        {case: statistics.median(cost[which] for cost in found) for case, found in costs.items()}
        for which in (0, 1)
    )
    for name, ratio in RATIOS.items():
        lines.append(f"  {name:<40} {ratio(seconds):5.2f}   of processors {ratio(processor):5.2f}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = CommandLine(prog="python -m benchmarks.hosts", description="Times from booted hosts to proof.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("counts", type=int, nargs="*", default=[2, 4, 8], metavar="COUNT")
    options = parser.parse_args()
    playbook.ensure()
    try:
        for count in options.counts:
            with tempfile.TemporaryDirectory() as folder:
                found = measured(count, options.rounds, Path(folder))
            print(f"{table(count, found)}\n  load {os.getloadavg()[0]:.1f}", flush=True)
    finally:
        Lab(NETWORK).down()


if __name__ == "__main__":
    main()
