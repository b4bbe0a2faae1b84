"""From a stack file to a plan, or to everything that is wrong with it."""

from collections.abc import Iterator, Sequence

from planning import checks
from planning.aws import capability, efa_nvme
from planning.aws.checks import notes as aws_notes
from planning.commands.generation import generation
from planning.network.flows import flows
from planning.nodes.manifests import planned_services
from planning.nodes.runtimes import notes as runtime_notes
from planning.nodes.runtimes import runtime
from planning.placement.assignment import Demand, NoRoomError, node_names, place
from planning.placement.machines import Machine, machine
from planning.roles import engine_kind, gpus_of, worker_roles
from planning.values import Engine, Node, Plan
from settings.models import Settings
from settings.problems import StackFileError
from settings.targets import HostsTarget, LocalTarget


def plan(settings: Settings) -> Plan:
    """Return who runs what where. Raises StackFileError with every problem found."""
    each = machine(settings.target)
    problems = checks.before_placement(settings, each)
    if each is None or problems:
        raise StackFileError(problems)
    engines = _engines(settings, each)
    nodes = tuple(_nodes(settings, each, engines))
    if problems := list(checks.after_placement(settings, nodes)):
        raise StackFileError(problems)
    installed = runtime(settings)
    return Plan(
        settings=settings,
        engine=engine_kind(settings),
        runtime=installed,
        generation=generation(settings, installed),
        machine=each,
        nodes=nodes,
        engines=engines,
        services=tuple(planned_services(settings, nodes, engines)),
        flows=flows(
            engines,
            settings.ports,
            frontends=settings.roles.frontend.replicas,
            vllm=engine_kind(settings) == "vllm",
            local=settings.target.kind == "local",
            libfabric=efa_nvme.uses_libfabric(settings),
        ),
        notes=tuple(_notes(settings)),
    )


def _engines(settings: Settings, each: Machine) -> tuple[Engine, ...]:
    demands = [Demand(name, role.replicas, gpus_of(role)) for name, role in worker_roles(settings)]
    if problem := checks.too_many_nodes(demands, each):
        raise StackFileError([problem])
    given = _given_workers(settings)
    try:
        return place(demands, each.gpus, given)
    except NoRoomError:
        raise StackFileError([checks.no_room(settings.target, len(given or ()), demands, each)]) from None


def _given_workers(settings: Settings) -> list[str] | None:
    """Return the worker nodes that the stack file names or counts; None: as many as the engines need."""
    target = settings.target
    if isinstance(target, HostsTarget):
        names = [entry.name for entry in target.inventory]
        return names if settings.head.placement == "colocated" else names[1:]
    count = target.nodes if isinstance(target, LocalTarget) else None
    return node_names(count) if count else None


def _nodes(settings: Settings, each: Machine, engines: Sequence[Engine]) -> Iterator[Node]:
    """Yield a dedicated head, if any, and then every worker node: what comes later is what comes and goes."""
    colocated = settings.head.placement == "colocated"
    if not colocated:
        target = settings.target
        name = target.inventory[0].name if isinstance(target, HostsTarget) else "head"
        yield Node(name, gpus=0, head=True)
    workers = _given_workers(settings)
    if workers is None:
        taken = {rank.node for engine in engines for rank in engine.ranks}
        workers = [name for name in node_names(sum(len(engine.ranks) for engine in engines)) if name in taken]
    for number, name in enumerate(workers, 1):
        yield Node(name, each.gpus, head=colocated and number == settings.head.node)


def _notes(settings: Settings) -> Iterator[str]:
    yield from runtime_notes(settings)
    yield from aws_notes(settings)
    yield from efa_nvme.notes(settings)
    yield from capability.notes(settings)
    yield from checks.notes(settings)
    for name, role in worker_roles(settings):
        if role.replicas == 1:
            yield f"{name} has one worker: a change of it interrupts serving"
