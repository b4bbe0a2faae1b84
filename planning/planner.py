"""From a stack file to a plan, or to everything that is wrong with it."""

from collections.abc import Iterator, Sequence

from planning import checks
from planning.aws import efa_nvme
from planning.commands.generation import generation
from planning.network.flows import flows
from planning.nodes.manifests import planned_services
from planning.nodes.runtimes import notes as runtime_notes
from planning.nodes.runtimes import runtime
from planning.placement.assignment import Demand, NoRoomError, node_names, place
from planning.roles import engine_kind, gpus_of, worker_roles
from planning.targets import TargetPlanning, target_planning
from planning.values import Engine, Machine, Node, Plan
from settings.models import Settings
from settings.problems import StackFileError


def plan(settings: Settings) -> Plan:
    """Return who runs what where. Raises StackFileError with every problem found."""
    target = target_planning(settings)
    machine = target.machine
    problems = checks.before_placement(target)
    if machine is None or problems:
        raise StackFileError(problems)
    engines = _engines(target, machine)
    nodes = tuple(_nodes(target, machine, engines))
    if problems := list(checks.after_placement(target, nodes)):
        raise StackFileError(problems)
    runtime_spec = runtime(settings)
    return Plan(
        settings=settings,
        engine=engine_kind(settings),
        runtime=runtime_spec,
        generation=generation(settings, runtime_spec),
        machine=machine,
        nodes=nodes,
        engines=engines,
        services=tuple(planned_services(settings, nodes, engines)),
        flows=flows(
            engines,
            settings.ports,
            frontends=settings.roles.frontend.replicas,
            vllm=engine_kind(settings) == "vllm",
            local=settings.target.on_this_machine,
            libfabric=efa_nvme.uses_libfabric(settings),
        ),
        notes=tuple(_notes(target)),
    )


def _engines(target: TargetPlanning, machine: Machine) -> tuple[Engine, ...]:
    roles = worker_roles(target.settings)
    demands = [Demand(name, role.replicas, gpus_of(role)) for name, role in roles]
    if problem := checks.too_many_nodes(demands, machine):
        raise StackFileError([problem])
    try:
        return place(demands, machine.gpus, target.workers)
    except NoRoomError:
        raise StackFileError([target.no_room(demands, machine)]) from None


def _nodes(target: TargetPlanning, machine: Machine, engines: Sequence[Engine]) -> Iterator[Node]:
    """Yield a dedicated head, if any, and then every worker node: what comes later is what comes and goes."""
    head = target.settings.head
    colocated = head.placement == "colocated"
    if not colocated:
        yield Node(target.dedicated_head, gpus=0, head=True)
    workers = target.workers
    if workers is None:
        engine_nodes = {rank.node for engine in engines for rank in engine.ranks}
        workers = [
            name for name in node_names(sum(len(engine.ranks) for engine in engines)) if name in engine_nodes
        ]
    for number, name in enumerate(workers, 1):
        yield Node(name, machine.gpus, head=colocated and number == head.node)


def _notes(target: TargetPlanning) -> Iterator[str]:
    settings = target.settings
    yield from runtime_notes(settings)
    yield from target.notes()
    yield from checks.notes(settings)
    for name, role in worker_roles(settings):
        if role.replicas == 1:
            yield f"{name} has one worker: a change of it interrupts serving"
