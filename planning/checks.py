"""Refuse what cannot be planned, with the arithmetic and the remedy."""

from collections.abc import Iterator, Sequence

from nodectl.common.redaction import shown
from planning.commands import combinations, role_settings
from planning.commands.arguments import PAIRING_FLAGS
from planning.network import ports
from planning.nodes.runtimes import problems as runtime_problems
from planning.placement.assignment import Demand, fits
from planning.roles import engine_kind, gpus_of, worker_roles
from planning.sizing import fit
from planning.sizing.fit import attention_heads
from planning.targets import TargetPlanning
from planning.targets.kind import in_words
from planning.text import counted
from planning.values import Machine, Node
from settings.models import Settings
from settings.numbers import as_pulumi_writes, text_only
from settings.problems import Problem
from settings.section import MAX_NODES


def before_placement(target: TargetPlanning) -> list[Problem]:
    """Return what can be told from the stack file and one node's GPUs."""
    settings, machine = target.settings, target.machine
    sizes = list(_sizes(settings, machine)) if machine else []
    return [
        *target.machine_problems(),
        *sizes,
        *(fit.problems(settings, machine) if machine and not sizes else ()),
        *_ports(settings, machine),
        *role_settings.problems(settings),
        *combinations.problems(settings),
        *_pairs(settings),
        *runtime_problems(settings),
    ]


def too_many_nodes(demands: Sequence[Demand], machine: Machine) -> Problem | None:
    """Return what to say when the engines need more nodes than a deployment may have."""
    node_count = sum(demand.nodes(machine.gpus) for demand in demands)
    if node_count <= MAX_NODES:
        return None
    return Problem(
        "roles",
        f"{in_words(demands)} need {node_count} nodes of {counted(machine.gpus, 'GPU')}, "
        f"expected at most {MAX_NODES}; lower `replicas`",
    )


def after_placement(target: TargetPlanning, nodes: Sequence[Node]) -> Iterator[Problem]:
    """Find what refers to more nodes than the plan has, or has room for fewer."""
    settings = target.settings
    yield from target.node_problems(nodes)
    workers = sum(node.gpus > 0 for node in nodes)
    head, frontends = settings.head, settings.roles.frontend.replicas
    if head.placement == "dedicated" and head.node != 1:
        yield Problem(
            "head.node",
            "does not go with `placement: dedicated`, a node of its own; remove it",
            shown(head.node),
        )
    elif not workers:
        yield Problem(
            "head", f"leaves no worker: {counted(len(nodes), 'machine')}; list 2, or remove it", "dedicated"
        )
    elif head.node > workers:
        yield Problem(
            "head.node", f"expected 1 to {workers}: the plan has {workers} worker nodes", shown(head.node)
        )
    if frontends > len(nodes):
        yield Problem(
            "roles.frontend.replicas",
            f"expected at most {len(nodes)}: one a node, and the plan has {len(nodes)}",
            shown(frontends),
        )


def _ports(settings: Settings, machine: Machine | None) -> Iterator[Problem]:
    if machine and machine.gpus <= ports.MAX_GPUS_PER_NODE:
        local = settings.target.on_this_machine and engine_kind(settings) == "vllm"
        yield from ports.problems(settings.ports, machine.gpus, local_ranks=local)


def _sizes(settings: Settings, machine: Machine) -> Iterator[Problem]:
    """Find engines that neither fit a node nor fill several, and sizes that do not divide the heads."""
    heads = attention_heads(settings.model)
    if settings.model.source == "generated" and engine_kind(settings) == "mocker":
        heads = None  # nothing is computed, so that any topology can be rehearsed
    for name, role in worker_roles(settings):
        tensor, gpus = role.parallelism.tensor, gpus_of(role)
        if fits(gpus, machine.gpus) and _divides(heads, tensor):
            continue
        capacity = f"each {machine.name} has {counted(machine.gpus, 'GPU')}"
        if heads:
            capacity += f" and the model has {heads} attention heads"
        pipeline = role.parallelism.pipeline
        suffix = f" with `pipeline: {pipeline}`" if pipeline > 1 else ""
        yield Problem(
            f"roles.{name}.parallelism.tensor",
            f"cannot be placed{suffix}: {capacity}; use {_good_sizes(machine.gpus, pipeline, heads)}",
            shown(tensor),
        )


def _divides(heads: int | None, tensor: int) -> bool:
    return heads is None or heads % tensor == 0


def _good_sizes(per_node: int, pipeline: int, heads: int | None) -> str:
    """Say which tensor parallel sizes could be placed; of a model that is not known, only small ones."""
    sizes = range(1, (heads or 2 * per_node) + 1)
    valid_sizes = [size for size in sizes if fits(size * pipeline, per_node) and _divides(heads, size)]
    return ", ".join(map(str, valid_sizes)) or "a smaller `pipeline`"


def _pairs(settings: Settings) -> Iterator[Problem]:
    """Find prefill and decode workers that NIXL would not let exchange KV blocks."""
    prefill, decode = settings.roles.prefill, settings.roles.decode
    if prefill is None or decode is None:
        return
    for flag in PAIRING_FLAGS:
        decode_value, prefill_value = decode.flags.get(flag), prefill.flags.get(flag)
        if decode_value != prefill_value:
            yield Problem(
                f"roles.decode.flags.{flag}",
                f"prefill has {shown(prefill_value) or 'none'}, but NIXL moves KV blocks only between "
                "equals; give both roles the same",
                shown(decode_value) or "none",
            )


def notes(settings: Settings) -> Iterator[str]:
    """Say which numbers' texts Pulumi does not keep, as soon as it writes the stack file anew."""
    flags = {"frontend": settings.roles.frontend.flags}
    flags |= {role: worker.flags for role, worker in worker_roles(settings)}
    for role, role_flags in flags.items():
        for name, value in role_flags.items():
            is_structure = isinstance(value, dict | list)
            remedy = "write all of it as one text, in quotes" if is_structure else "put it in quotes"
            for number in _numbers(value):
                if text := text_only(number):
                    yield (
                        f"roles.{role}.flags.{name}: {text} is passed on as written; {remedy}, since "
                        f"`pulumi config set` rewrites it as {as_pulumi_writes(number)}"
                    )


def _numbers(value: object) -> Iterator[object]:
    """Yield a number, or those within a structure."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)
    else:
        yield value
