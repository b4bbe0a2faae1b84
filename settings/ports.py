"""TCP ports that the services of a deployment listen on: one number or, for engines, a first number."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from settings.section import Section, wrong

FIRST: Final = 1024
"""Services run without privileges, and Linux lets only root listen below."""

EPHEMERAL: Final = (32768, 60999)
"""Linux's range for programs that ask for any free port: gloo, NCCL, vLLM's workers and UCX do."""

LAST: Final = 65535


def _port(number: int) -> int:
    first, last = EPHEMERAL
    if not FIRST <= number <= LAST:
        raise wrong(f"expected {FIRST} to {LAST}: services have no right to listen below {FIRST}")
    if first <= number <= last:
        raise wrong(f"expected no port of {first} to {last}, which Linux gives to any connection")
    return number


Port = Annotated[int, AfterValidator(_port), Field(json_schema_extra={"minimum": FIRST, "maximum": LAST})]


class PortSettings(Section):
    """TCP ports of services. An engine's are counted up from the number here, by the first of its GPUs."""

    frontend: Port = Field(
        default=8000, description="where clients ask: the only frontend, or the balancer of several"
    )
    balanced_frontend: Port = Field(default=8001, description="each of several frontends")
    gate: Port = Field(default=8002, description="where the balancer asks about the frontend of a node")
    frontend_response_stream: Port = Field(
        default=8003, description="where frontends take the tokens of workers"
    )
    nats: Port = Field(default=4222, description="NATS")
    nats_monitoring: Port = Field(default=8222, description="NATS: whether it is ready")
    etcd: Port = Field(default=2379, description="etcd")
    etcd_peer: Port = Field(default=2380, description="etcd, for other members of its cluster")
    request_plane: Port = Field(
        default=9401, description="engines: where they take requests; 10 more for every GPU before theirs"
    )
    response_stream: Port = Field(
        default=9402, description="engines: where they take answers of others; 10 more for every GPU"
    )
    system: Port = Field(default=9090, description="engines: health and metrics; 1 more for every GPU")
    nixl: Port = Field(
        default=5600, description="engines: where NIXL agrees on KV transfer; 16 more for every GPU"
    )
    master: Port = Field(
        default=29501,
        description="engines over several nodes: where their ranks meet; 1 more for every GPU. Local nodes "
        "have one of 12000 to 28380 by their address",
    )
