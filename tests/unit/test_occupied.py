"""A port that somebody else holds is told before a service starts in vain."""

import os
import socket
from collections.abc import Iterator

import pytest

from nodectl import occupied
from nodectl.errors import NodectlError
from nodectl.manifest import Ready

OWN = "dynamo.stack.node-1."


@pytest.fixture(params=["127.0.0.1", "0.0.0.0", "::"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port that this process listens on, on one address or on all."""
    with socket.socket(socket.AF_INET6 if ":" in request.param else socket.AF_INET) as listener:
        listener.bind((request.param, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_who_holds_the_port_is_named(port: int) -> None:
    with pytest.raises(NodectlError, match=rf"etcd: port {port} of 127\.0\.0\.1 is taken by .*"):
        occupied.check({"etcd": ("127.0.0.1", port)}, OWN, "remove")


def test_a_process_without_a_unit_is_named_by_number_and_name(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occupied, "_unit", lambda pid: "")
    with pytest.raises(NodectlError, match=rf"process {os.getpid()} \(.+\); end it"):
        occupied.check({"etcd": ("127.0.0.1", port)}, OWN, "remove")


def test_what_the_nodes_own_units_left_is_no_obstacle(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occupied, "_unit", lambda pid: f"{OWN}etcd.service")
    occupied.check({"etcd": ("127.0.0.1", port)}, OWN, "remove")


@pytest.mark.parametrize(
    ("unit", "remedy"),
    [
        ("etcd.service", "run `sudo systemctl disable --now etcd.service` there"),
        (
            "dynamo.v1.2.gpu-1.etcd.service",
            (
                "take stack v1.2 down first; where that is no more, "
                "run `sudo remove --root /var/lib/dynamo-multinode/v1.2/gpu-1` there"
            ),
        ),
    ],
)
def test_a_unit_that_holds_it_is_named_with_the_remedy(
    port: int, monkeypatch: pytest.MonkeyPatch, unit: str, remedy: str
) -> None:
    monkeypatch.setattr(occupied, "_unit", lambda pid: unit)
    with pytest.raises(NodectlError) as refused:
        occupied.check({"etcd": ("127.0.0.1", port)}, OWN, "remove")
    assert f"is taken by {unit}; {remedy}" in str(refused.value)


def test_a_port_that_nobody_holds_there_is_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", 0))
        listener.listen()
        occupied.check({"etcd": ("127.0.0.1", listener.getsockname()[1])}, OWN, "remove")


@pytest.mark.parametrize(
    ("ready", "endpoint"),
    [
        (Ready(http="http://10.0.0.1:9090/health", seconds=1), ("10.0.0.1", 9090)),
        (Ready(tcp="10.0.0.1:2379", seconds=1), ("10.0.0.1", 2379)),
        (Ready(process=True, seconds=1), None),
    ],
)
def test_where_a_service_listens_is_what_shows_that_it_is_ready(
    ready: Ready, endpoint: tuple[str, int] | None
) -> None:
    assert ready.endpoint == endpoint
