"""Cost of planning by the number of nodes: processor seconds, peak memory, size of what it generates.

Everything that `up` asks of planning is in it: plan, manifests, topology, proof, what every node probes, the
printed plan. Nothing is deployed. Run in the shell that `scripts/env` sets up:
    .venv/bin/python -m benchmarks.planning [ROUNDS]
The ratio is that to the row before, of half as many nodes: 2 is linear.
"""

import ipaddress
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import planning
from nodectl.common.commandline import CommandLine
from nodectl.contract.codec import written
from settings import Settings

COUNTS: Final = (256, 512, 1024, 2048)
_GENERATED: Final = {"name": "tiny", "source": "generated"}
_LLAMA: Final = {"name": "meta-llama/Llama-3.3-70B-Instruct"}
_WHOLE_NODE: Final = {"parallelism": {"tensor": 8}}


class Cost(NamedTuple):
    """Cost of planning one stack."""

    seconds: float
    """Of the processor."""
    peak_mib: float
    generated_mib: float
    """JSON for the nodes, the proof and the topology."""


def local(count: int) -> Settings:
    return _stack("agg", {"aggregated": {"replicas": count}}, target={"kind": "local"}, model=_GENERATED)


def hosts(count: int) -> Settings:
    inventory = [{"name": f"gpu-{number}", "address": _address(number)} for number in range(count)]
    target = {"kind": "hosts", "inventory": inventory, "gpusPerNode": 8, "firewall": "manage"}
    return _stack("disagg", _halves(count), target=target, model=_LLAMA)


def aws(count: int) -> Settings:
    target = {"kind": "aws", "instanceType": "p5.48xlarge", "region": "us-east-1", "access": "ssm"}
    return _stack("disagg", _halves(count), target=target, model=_LLAMA)


CASES: Final[Mapping[str, Callable[[int], Settings]]] = {
    "local agg, simulated": local,
    "hosts disagg, managed firewall": hosts,
    "aws disagg": aws,
}


def everything(settings: Settings) -> int:
    """Plan a stack and generate all that `up` does; return the bytes of it."""
    plan = planning.plan(settings)
    addresses = {node.name: _address(number) for number, node in enumerate(plan.nodes)}
    manifests = planning.manifests(plan, addresses)
    texts = [written(manifest) for manifest in manifests.values()]
    texts += [written(planning.probe_spec(plan, addresses, node.name)) for node in plan.nodes]
    texts.append(written(planning.proof_spec(plan, addresses, manifests)))
    texts.append(json.dumps(planning.topology(plan, addresses)))
    texts.append(planning.describe(plan, addresses))
    return sum(map(len, texts))


def measured(settings: Settings, rounds: int) -> Cost:
    """Return the median of the processor's seconds, and the peak of memory in a run of its own."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        size = everything(settings)
        seconds.append(time.process_time() - start)
    tracemalloc.start()
    everything(settings)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return Cost(statistics.median(seconds), peak / 2**20, size / 2**20)


def main(rounds: int) -> None:
    """Measure every case and print a row a number of nodes."""
    for name, stack in CASES.items():
        print(f"{name}\n  nodes   processor  ratio     peak  ratio   generated  ratio")
        before: Cost | None = None
        for count in COUNTS:
            cost = measured(stack(count), rounds)
            ratios = [f"{now / then:5.1f}" for now, then in zip(cost, before or (), strict=False)] or [""] * 3
            print(
                f"  {count:5}   {cost.seconds:7.2f} s  {ratios[0]:5}  {cost.peak_mib:6.1f} MiB  {ratios[1]:5}"
                f"  {cost.generated_mib:6.1f} MiB  {ratios[2]:5}".rstrip(),
                flush=True,
            )
            before = cost


def _stack(pattern: str, roles: Mapping[str, Any], **others: Any) -> Settings:
    return Settings.model_validate({"pattern": pattern, "roles": roles, **others})


def _halves(count: int) -> dict[str, Any]:
    return {role: {"replicas": count // 2, **_WHOLE_NODE} for role in ("prefill", "decode")}


def _address(number: int) -> str:
    return str(ipaddress.IPv4Address("10.8.0.0") + number)


if __name__ == "__main__":
    parser = CommandLine(prog="python -m benchmarks.planning", description=__doc__)
    parser.add_argument("rounds", nargs="?", type=int, default=3, metavar="ROUNDS")
    main(parser.parse_args().rounds)
