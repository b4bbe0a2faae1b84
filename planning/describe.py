"""The plan in words: what scripts/plan and every preview print first."""

from collections.abc import Iterable, Mapping, Sequence

from nodectl.common.redaction import shown
from nodectl.contract.runtime import ContainerEngine, PreinstalledEngine, RuntimeSpec
from planning.commands.arguments import router_mode, served_model
from planning.network import ports
from planning.roles import worker_roles
from planning.sizing.cost import Cost
from planning.sizing.fit import Fit, fit_by_role, summary
from planning.targets import target_planning
from planning.values import Flow, Node, Plan, PlannedService
from settings.models import Settings


def describe(plan: Plan, addresses: Mapping[str, str] | None = None, cost: Cost | None = None) -> str:
    """Return the plan for a reader: nodes and what runs on them, fit, cost, ports and why, notes.

    On AWS the addresses are those that are planned, and the cost is the snapshot's, unless others are given.
    """
    target = target_planning(plan.settings)
    addresses, cost = addresses or target.addresses(plan.nodes), cost or target.cost(plan)
    place, outside = target.place(), target.outside(plan)
    lines = [
        f"plan       {_summary(plan)}",
        *([f"place      {place}"] if place else []),
        *_columns(_node(plan, node, addresses) for node in plan.nodes),
        *_fit(plan),
        *([f"cost       {_cost(plan, cost)}"] if cost else []),
        *([f"outside    {outside}"] if outside else []),
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
    return [
        (source, target, ", ".join(port_numbers), reason)
        for (source, target, reason), port_numbers in numbers.items()
    ]


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


def _fit(plan: Plan) -> list[str]:
    """Say what fits the GPUs, roles that are alike together."""
    roles_by_text: dict[str, list[str]] = {}
    for role, role_fit in fit_by_role(plan.settings, plan.machine).items():
        text = summary(role_fit) if isinstance(role_fit, Fit) else f"not known: {role_fit}"
        roles_by_text.setdefault(text, []).append(role)
    with_names = len(roles_by_text) > 1
    return [
        f"fit        {', '.join(roles) + ': ' if with_names else ''}{text}"
        for text, roles in roles_by_text.items()
    ]


def _cost(plan: Plan, cost: Cost) -> str:
    hourly, monthly, limit = cost.hourly, cost.monthly, plan.settings.cost.max_hourly
    has_price = hourly is not None and monthly is not None
    parts = [
        f"{hourly:,.2f} USD an hour · {monthly:,.0f} USD a month" if has_price else "not known",
        f"{cost.source}{f', {cost.meaning}' if cost.meaning else ''}",
        f"without {', '.join(cost.unknown)}, whose price is not known" if cost.unknown else "",
        _limit(cost, limit) if limit else "",
    ]
    return " · ".join(filter(None, parts))


def _limit(cost: Cost, limit: float) -> str:
    if cost.hourly is None or not cost.certain:
        return f"limit {shown(limit)}, which this price cannot be held against"
    return f"limit {shown(limit)}"


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
        return f"{service.name} {_listens(plan.settings)[service.name]}"
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


def _listens(settings: Settings) -> Mapping[str, int]:
    numbers = settings.ports
    frontend = ports.frontend(numbers, settings.roles.frontend.replicas)
    return {
        "nats": numbers.nats,
        "etcd": numbers.etcd,
        "balancer": numbers.frontend,
        "frontend": frontend,
    }


def _gpus(gpus: Sequence[int]) -> str:
    return f"GPU {gpus[0]}" if len(gpus) == 1 else f"GPUs {gpus[0]}-{gpus[-1]}"


def _columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows of words as lines below a heading, columns that are empty throughout left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    return ["  " + "  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
