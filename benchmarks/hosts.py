"""From booted hosts to proof: ours, the same units by hand-written ssh (the floor), and an Ansible playbook.

Every case starts on hosts that were just booted on empty disks and ends with the same proof; the environments
and models are in place. Needs root, for the lab. Run in the shell that `scripts/env` sets up:
    .venv/bin/python -m benchmarks.hosts [--rounds N] [COUNT …]
Ratios of one run count: all cases take turns on one machine, which the hosts share with who brings them up.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import by_hand, deployments, playbook
from benchmarks.deployments import Deployment
from benchmarks.empty import UP, EmptyProgram
from benchmarks.timing import Cost, processor_seconds, seconds
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


@dataclass(frozen=True)
class Course:
    """One benchmark of all cases on a number of hosts: the same deployments, and the same proof."""

    stacks: LabStacks
    count: int
    deployments: Sequence[Deployment]
    proof: str

    def ours(self) -> Cost:
        """Return the cost of `pulumi up`, which includes the proof."""
        return self.cost(lambda: ours(self.stacks))

    def by_hand(self) -> Cost:
        """Return the cost of hand-written ssh and the proof."""
        return self.cost(lambda: self._proved(by_hand.start))

    def ansible(self) -> Cost:
        """Return the cost of an Ansible playbook and the proof."""
        return self.cost(lambda: self._proved(playbook.start))

    def _proved(self, start: Callable[[Sequence[Deployment], Path, str], None]) -> None:
        start(self.deployments, self.stacks.lab.key, USER)
        seconds([sys.executable, "-m", "nodectl", "proof"], stdin=self.proof)

    def cost(self, run: Callable[[], object]) -> Cost:
        """Return the cost of a run, here and on the hosts."""
        before, start = self._processor(), time.perf_counter()
        run()
        return Cost(time.perf_counter() - start, self._processor() - before)

    def _processor(self) -> float:
        return processor_seconds() + sum(host.processor_seconds for host in self.stacks.lab.hosts)


def ours(stacks: LabStacks) -> float:
    return seconds([*UP, STACK], cwd=stacks.checkout.path, env=stacks.checkout.env)


def clean(lab: Lab, count: int) -> None:
    """Boot `count` hosts with empty disks."""
    with redirect_stdout(sys.stderr):
        lab.down()
        lab.up(count)


@contextmanager
def brought_up(stacks: LabStacks, count: int) -> Iterator[None]:
    """Create an aggregated stack with one worker per host, ready for `up`, and destroy it at the end."""
    stacks.write(STACK, {"pattern": "agg", "roles": {"aggregated": {"replicas": count}}}, hosts=count)
    stacks.checkout.run("pulumi", "stack", "select", "--create", "--stack", STACK)
    try:
        yield
    finally:
        stacks.down(STACK)


def course(stacks: LabStacks, count: int, folder: Path) -> Course:
    """Bring `count` hosts up once, untimed, and collect the deployments for the other cases."""
    clean(stacks.lab, count)
    with brought_up(stacks, count):
        ours(stacks)
        return Course(
            stacks, count, deployments.collect(stacks, STACK, folder), deployments.proof_spec(stacks, STACK)
        )


def measured(count: int, rounds: int, folder: Path) -> Mapping[str, list[Cost]]:
    """Return the costs of every case on `count` hosts; cases alternate, for a fair comparison."""
    stacks = LabStacks.make(folder / "checkout", Lab(NETWORK))
    (folder / "empty").mkdir()
    empty = EmptyProgram.make(folder / "empty")
    run = course(stacks, count, folder / "left")
    costs: dict[str, list[Cost]] = {case: [] for case in CASES}
    for _ in range(rounds):
        costs["empty program"].append(run.cost(empty.up))
        clean(stacks.lab, count)
        costs["by hand"].append(run.by_hand())
        clean(stacks.lab, count)
        with brought_up(stacks, count):
            costs["ours"].append(run.ours())
        clean(stacks.lab, count)
        costs["Ansible"].append(run.ansible())
    return costs


def table(count: int, costs: Mapping[str, Sequence[Cost]]) -> str:
    """Return a table of medians, spreads and ratios for one number of hosts."""
    lines = [f"{count} hosts          seconds                  of processors"]
    for case, case_costs in costs.items():
        seconds_taken, processor_seconds = (
            [cost.seconds for cost in case_costs],
            [cost.processor for cost in case_costs],
        )
        spread = f"({min(seconds_taken):.1f} to {max(seconds_taken):.1f})"
        lines.append(
            f"  {case:<14} {statistics.median(seconds_taken):6.1f}  {spread:<16} "
            f"{statistics.median(processor_seconds):6.1f}"
        )
    seconds, processor = (
        {case: statistics.median(cost[field] for cost in case_costs) for case, case_costs in costs.items()}
        for field in (0, 1)
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
                costs = measured(count, options.rounds, Path(folder))
            print(f"{table(count, costs)}\n  load {os.getloadavg()[0]:.1f}", flush=True)
    finally:
        Lab(NETWORK).down()


if __name__ == "__main__":
    main()
