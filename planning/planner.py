"""From a stack file to a plan, or to everything that is wrong with it."""

from collections.abc import Iterator, Sequence

from planning import checks
from planning.flows import flows
from planning.generation import generation
from planning.machines import Machine, machine
from planning.placement import Demand, NoRoomError, place
from planning.roles import engine_kind, gpus_of, worker_roles
from planning.runtimes import notes as runtime_notes
from planning.runtimes import runtime
from planning.services import planned_services
from planning.values import Engine, Node, Plan
from planning.words import counted
from settings.models import LocalTarget, Settings
from settings.problems import StackFileError


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
        flows=flows(engines, vllm=engine_kind(settings) == "vllm", local=settings.target.kind == "local"),
        notes=tuple(_notes(settings)),
    )


def _engines(settings: Settings, each: Machine) -> tuple[Engine, ...]:
    demands = [Demand(name, role.replicas, gpus_of(role)) for name, role in worker_roles(settings)]
    if problem := checks.too_many_nodes(demands, each):
        raise StackFileError([problem])
    try:
        return place(demands, each.gpus, _given_nodes(settings))
    except NoRoomError:
        raise StackFileError([checks.no_room(_given_nodes(settings) or 0, demands, each)]) from None


def _given_nodes(settings: Settings) -> int | None:
    return settings.target.nodes if isinstance(settings.target, LocalTarget) else None


def _nodes(settings: Settings, each: Machine, engines: Sequence[Engine]) -> Iterator[Node]:
    """Yield a dedicated head, if any, and then every worker node: what comes later is what comes and goes."""
    used = max(int(rank.node.split("-")[1]) for engine in engines for rank in engine.ranks)
    colocated = settings.head.placement == "colocated"
    if not colocated:
        yield Node("head", gpus=0, head=True)
    for number in range(1, (_given_nodes(settings) or used) + 1):
        yield Node(f"node-{number}", each.gpus, head=colocated and number == settings.head.node)


def _notes(settings: Settings) -> Iterator[str]:
    yield from runtime_notes(settings)
    for name, role in worker_roles(settings):
        if role.replicas == 1:
            yield f"{name} has one worker: a change of it interrupts serving"
    frontends = settings.roles.frontend.replicas
    if frontends > 1:
        yield f"{counted(frontends, 'frontend')} without a balancer: `endpoint` is the first, clients choose"
