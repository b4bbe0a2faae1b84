"""The proof of a plan: everything that must be seen before `up` succeeds."""

from collections.abc import Mapping
from typing import Final

from nodectl.contract.manifest import Manifest, digest
from nodectl.contract.proof import ProofInstance, ProofSpec
from planning.commands import arguments
from planning.commands.arguments import namespace, router_mode, served_model
from planning.network import ports
from planning.values import Engine, Plan
from settings.ports import PortSettings

_SECONDS: Final = {"mocker": 120, "cpu": 900, "gpu": 2400}
"""Bound on the whole proof by runtime: the start of every worker is part of it."""


def proof_spec(plan: Plan, addresses: Mapping[str, str], manifests: Mapping[str, Manifest]) -> ProofSpec:
    """Return the proof that is due when `manifests` were applied to the nodes at `addresses`."""
    settings, head = plan.settings, addresses[plan.head]
    frontends = arguments.frontend_urls(plan, addresses)
    return ProofSpec(
        digest=digest(manifests),
        nats=f"nats://{head}:{settings.ports.nats}",
        etcd=f"{head}:{settings.ports.etcd}",
        frontends=frontends,
        endpoint=arguments.endpoint(plan, addresses),
        model=served_model(settings.model),
        engine=plan.engine,
        router=router_mode(settings),
        namespace=namespace(plan),
        instances=[_instance(engine, addresses, settings.ports) for engine in plan.engines],
        seconds=settings.proof_seconds or _SECONDS[plan.runtime.variant],
    )


def _instance(engine: Engine, addresses: Mapping[str, str], numbers: PortSettings) -> ProofInstance:
    first_rank = engine.ranks[0]
    address, slot = addresses[first_rank.node], ports.of_slot(numbers, first_rank.slot)
    return ProofInstance(
        service=engine.name,
        node=first_rank.node,
        address=address,
        role=engine.role,
        request_plane=f"{address}:{slot.request_plane}",
        system=f"{address}:{slot.system}",
        headless={
            engine.service(number): rank.node for number, rank in enumerate(engine.ranks) if number > 0
        },
    )
