"""The plan in words: what scripts/plan and every preview print first."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from nodectl.manifest import ContainerEngine, PreinstalledEngine, RuntimeSpec
from planning import ports
from planning.commands import router_mode, served_model
from planning.roles import worker_roles
from planning.values import Flow, Node, Plan, PlannedService

_LISTENS: Final = {"nats": ports.NATS, "etcd": ports.ETCD, "balancer": ports.FRONTEND}


def describe(plan: Plan, addresses: Mapping[str, str] | None = None) -> str:
    """Return the plan for a reader: nodes and what runs on them, ports and why, notes."""
    lines = [
        f"plan       {_summary(plan)}",
        *_columns(_node(plan, node, addresses or {}) for node in plan.nodes),
        "opens",
        *_columns((f"{source} to {target}", *rest) for source, target, *rest in opens(plan.flows)),
        *(f"note       {note}" for note in plan.notes),
    ]
    return "\n".join(lines)


def opens(flows: Iterable[Flow]) -> list[tuple[str, str, str, str]]:
    """Return source, target, port numbers and reason of all flows, those of one reason together."""
    numbers: dict[tuple[str, str, str], list[str]] = {}
    for flow in flows:
        number = str(flow.first) if flow.first == flow.last else f"{flow.first}-{flow.last}"
        numbers.setdefault((flow.source, flow.target, flow.why), []).append(number)
    return [(source, target, ", ".join(found), why) for (source, target, why), found in numbers.items()]


def _summary(plan: Plan) -> str:
    settings, workers = plan.settings, sum(node.gpus > 0 for node in plan.nodes)
    parts = [
        settings.target.kind,
        settings.pattern,
        plan.machine.times(workers),
        f"router {router_mode(settings)}",
        f"engine {plan.engine}",
        f"model {served_model(settings.model)}",
        _runtime(plan.runtime),
    ]
    return " · ".join(filter(None, parts))


def _runtime(spec: RuntimeSpec) -> str:
    """Say where the engine comes from, unless it is the environment that everybody gets."""
    match spec.engine:
        case ContainerEngine():
            return f"image {spec.engine.image}"
        case PreinstalledEngine():
            return f"environment {spec.engine.path}"
        case _:
            return ""


def _node(plan: Plan, node: Node, addresses: Mapping[str, str]) -> tuple[str, str, str]:
    services = [_service(plan, service) for service in plan.services_on(node.name)]
    return node.name, addresses.get(node.name, ""), " · ".join(services) or "nothing"


def _service(plan: Plan, service: PlannedService) -> str:
    if service.engine is None:
        frontend = ports.frontend(plan.settings.roles.frontend.replicas)
        return f"{service.name} {_LISTENS.get(service.name, frontend)}"
    parallel = dict(worker_roles(plan.settings))[service.engine.role].parallelism
    size = len(service.engine.ranks)
    parts = [
        service.engine.name,
        f"rank {service.rank} of {size}" if size > 1 else "",
        f"TP{parallel.tensor}" if parallel.tensor > 1 else "",
        f"PP{parallel.pipeline}" if parallel.pipeline > 1 else "",
        _gpus(service.engine.ranks[service.rank].gpus) if plan.machine.gpus > 1 else "",
    ]
    return " ".join(filter(None, parts))


def _gpus(gpus: Sequence[int]) -> str:
    return f"GPU {gpus[0]}" if len(gpus) == 1 else f"GPUs {gpus[0]}-{gpus[-1]}"


def _columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows of words as lines below a heading, columns that are empty throughout left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    return ["  " + "  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
