"""Ports that each service listens on: a node checks them before a start, since few programs say it well."""

from collections.abc import Iterator, Mapping
from typing import Final

from nodectl.contract.manifest import Listener
from planning.network import ports
from planning.values import Plan, PlannedService

EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - torch's rendezvous takes no address


def listeners(plan: Plan, service: PlannedService, addresses: Mapping[str, str]) -> list[Listener]:
    """Return where a service listens, by the keys of the stack file's `ports`."""
    address = addresses[service.node]
    entries = [Listener(key=key, at=f"{address}:{port}") for key, port in _own(plan, service).items()]
    if _is_met(plan, service):
        local = plan.settings.target.on_this_machine
        port = ports.local_master(address) if local else _slot(plan, service).master
        entries.append(Listener(key="master", at=f"{EVERYWHERE}:{port}"))
    return entries


def numbers(plan: Plan) -> tuple[int, ...]:
    """Return every port that some node listens on at its own address."""
    return tuple(sorted({port for service in plan.services for port in _own(plan, service).values()}))


def _own(plan: Plan, service: PlannedService) -> dict[str, int]:
    """Return the ports that a service takes at its node's address."""
    port_settings = plan.settings.ports
    match service.kind:
        case "nats":
            return {"nats": port_settings.nats, "natsMonitoring": port_settings.nats_monitoring}
        case "etcd":
            return {"etcd": port_settings.etcd, "etcdPeer": port_settings.etcd_peer}
        case "balancer":
            return {"frontend": port_settings.frontend}
        case "frontend":
            return dict(_frontend(plan))
        case _:
            return dict(_engine(plan, service))


def _frontend(plan: Plan) -> Iterator[tuple[str, int]]:
    port_settings = plan.settings.ports
    yield "frontendResponseStream", port_settings.frontend_response_stream
    if plan.balanced:
        yield "balancedFrontend", port_settings.balanced_frontend
        yield "gate", port_settings.gate
    else:
        yield "frontend", port_settings.frontend


def _engine(plan: Plan, service: PlannedService) -> Iterator[tuple[str, int]]:
    """Yield the ports of a rank. Rank 0 speaks for its engine; NIXL may ask every rank."""
    slot = _slot(plan, service)
    if service.rank == 0:
        yield "requestPlane", slot.request_plane
        yield "responseStream", slot.response_stream
        yield "system", slot.system
    if plan.engine == "vllm" and service.kind != "aggregated":
        yield "nixl", slot.nixl


def _is_met(plan: Plan, service: PlannedService) -> bool:
    """Return whether the other ranks of an engine meet at this one."""
    engine = service.engine
    return plan.engine == "vllm" and engine is not None and service.rank == 0 and len(engine.ranks) > 1


def _slot(plan: Plan, service: PlannedService) -> ports.SlotPorts:
    assert service.engine is not None  # noqa: S101 - only engines have slots
    return ports.of_slot(plan.settings.ports, service.engine.ranks[service.rank].slot)
