"""The unit of a service in a container: what runs the container is root's, the container is the limit."""

from pathlib import Path

from nodectl.supervisors.supervisor import Unit
from nodectl.supervisors.unitfile import Owner, text

OWNER = Owner(
    stack="lab",
    node="gpu-1",
    root=Path("/var/lib/dynamo-multinode/lab/gpu-1"),
    user="dynamo-multinode",
    writable=(Path("/var/lib/dynamo-multinode/lab/gpu-1/data"),),
    environment={"A": "1"},
)
LIMITS = ("User=", "Group=", "NoNewPrivileges=", "RestrictNamespaces=", "ProtectSystem=", "RemoveIPC=")


def lines(*, contained: bool) -> list[str]:
    return text(OWNER, "decode-0", Unit(("/bin/wait",), 75, contained=contained)).splitlines()


def test_only_a_service_without_a_container_is_another_users_and_limited() -> None:
    apart, contained = lines(contained=False), lines(contained=True)
    for limit in LIMITS:
        assert any(line.startswith(limit) for line in apart), limit
        assert not any(line.startswith(limit) for line in contained), limit
    assert [line for line in apart if line in contained] == contained


def test_a_container_is_restarted_and_stopped_as_any_service_is() -> None:
    found = lines(contained=True)
    assert {
        "Restart=always",
        "KillMode=mixed",
        "TimeoutStopSec=75",
        "LimitMEMLOCK=infinity",
        "LimitCORE=0",
    } <= set(found)
    assert found[-3:] == ["", "[Install]", "WantedBy=multi-user.target"]
