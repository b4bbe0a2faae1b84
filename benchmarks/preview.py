"""Preview of many hosts: this program against a bare loop that registers the same resources.

Nothing is contacted by a preview, so no lab is needed. Run in the shell that `scripts/env local` sets up:
    .venv/bin/python -m benchmarks.preview [--rounds N] [COUNT …]
The loop has nothing to decide: it reads types, names, parents and inputs, as the preview printed them, from a
file. The difference is what settings, planning and components cost; both load the policy pack. Processor
seconds are those of the CLI and of all that it starts.
"""

import json
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from benchmarks.empty import EmptyProgram
from benchmarks.timing import Cost, cost
from nodectl.common.commandline import CommandLine
from tests.engine.deployment.checkout import Checkout
from tools.toolchain.shell import SALT

STACK: Final = "many"
KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGAgEGNedF3RWLspf6t5OrXdXCwd1HeDFeDRTCchXS9r"
LOOP: Final = """\
import json
import pulumi
import pulumi_command as command

made = {}
for kind, name, parent, inputs in json.load(open("resources.json")):
    opts = pulumi.ResourceOptions(parent=made.get(parent))
    if kind == "command:local:Command":
        command.local.Command(name, **inputs, opts=opts)
    else:
        made[f"{kind}::{name}"] = pulumi.ComponentResource(kind, name, None, opts)
"""


class Round(NamedTuple):
    """Costs of one round."""

    ours: Cost
    loop: Cost


@dataclass(frozen=True)
class Many:
    """A checkout with a stack of `count` hosts, and the bare loop."""

    checkout: Checkout
    loop: EmptyProgram

    @classmethod
    def make(cls, folder: Path, count: int) -> "Many":
        checkout = Checkout.make(folder / "checkout")
        (checkout.path / f"stacks/Pulumi.{STACK}.yaml").write_text(stack_file(count), encoding="utf-8")
        checkout.run("pulumi", "stack", "select", "--create", "--stack", STACK)
        (folder / "loop").mkdir()
        loop = EmptyProgram.make(folder / "loop", policies=True)
        (loop.folder / "__main__.py").write_text(LOOP, encoding="utf-8")
        printed = checkout.run("pulumi", "preview", "--json", "--stack", STACK, seconds=3600).stdout
        resources = [described(step["newState"]) for step in json.loads(printed)["steps"]]
        text = json.dumps([resource for resource in resources if resource[0] != "pulumi:pulumi:Stack"])
        (loop.folder / "resources.json").write_text(text, encoding="utf-8")
        return cls(checkout, loop)

    def round(self) -> Round:
        return Round(
            cost(["pulumi", "preview", "--stack", STACK], cwd=self.checkout.path, env=self.checkout.env),
            cost(["pulumi", "preview", "--stack", "empty"], cwd=self.loop.folder, env=self.loop.env),
        )

    @property
    def resources(self) -> int:
        return len(json.loads((self.loop.folder / "resources.json").read_text(encoding="utf-8")))


def stack_file(count: int) -> str:
    """Return a stack of simulated engines on `count` hosts, one each."""
    inventory = [
        {"name": f"gpu-{n}", "address": f"10.{n // 65536}.{n // 256 % 256}.{n % 256}", "hostKey": KEY}
        for n in range(257, count + 257)
    ]
    config = {
        "target": {"kind": "hosts", "gpusPerNode": 1, "device": "cpu", "inventory": inventory},
        "engine": "mocker",
        "pattern": "agg",
        "model": {"name": "tiny", "source": "generated"},
        "roles": {"aggregated": {"replicas": count}},
    }
    document = {"encryptionsalt": SALT, "config": {f"dynamo:{key}": value for key, value in config.items()}}
    return yaml.safe_dump(document, sort_keys=False)


def described(state: Mapping[str, object]) -> tuple[object, str, str, object]:
    """Return type, name, parent and inputs of a resource that is to be created."""
    name = str(state["urn"]).rpartition("::")[2]
    parent = str(state.get("parent", ""))
    kind = parent.rpartition("::")[0].rpartition("$")[2].rpartition("::")[2]
    return state["type"], name, f"{kind}::{parent.rpartition('::')[2]}", state.get("inputs", {})


def table(count: int, resources: int, rounds: Sequence[Round]) -> str:
    """Return medians, and the ratios that count."""

    def median(which: str, figure: str) -> float:
        return statistics.median(float(getattr(getattr(took, which), figure)) for took in rounds)

    lines = [
        f"{count} hosts, {resources} resources",
        "              seconds  of processors  ms of processor a host",
    ]
    for which in Round._fields:
        busy = median(which, "processor")
        lines.append(
            f"  {which:<10} {median(which, 'seconds'):8.1f}  {busy:13.1f}  {1000 * busy / count:22.0f}"
        )
    for figure in ("seconds", "processor"):
        ratio = median("ours", figure) / median("loop", figure)
        lines.append(f"  ours / loop, {figure}, goal 1.2: {ratio:.2f}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = CommandLine(prog="python -m benchmarks.preview", description="A preview of many hosts.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("counts", type=int, nargs="*", default=[256], metavar="COUNT")
    options = parser.parse_args()
    for count in options.counts:
        with tempfile.TemporaryDirectory() as folder:
            many = Many.make(Path(folder), count)
            rounds = [many.round() for _ in range(options.rounds)]
            print(f"{table(count, many.resources, rounds)}\n  load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
