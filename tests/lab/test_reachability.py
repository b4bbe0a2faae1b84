"""`up` on hosts with firewalls: the deployment's own, and somebody else's that is in the way."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nodectl.host import nftables
from tests.engine.deployment.checkout import complete
from tests.lab.picture import picture
from tests.lab.stacks import LabStacks
from tools.hostlab.lab import Lab

pytestmark = pytest.mark.slow

COUNT = 2
IN_THE_WAY = """\
table inet somebody {
    chain inbound {
        type filter hook input priority 0;
        ip saddr %s tcp dport 9401 drop
    }
}
"""


@pytest.fixture(scope="module")
def stacks(lab: Callable[[int], Lab], tmp_path_factory: pytest.TempPathFactory) -> LabStacks:
    return LabStacks.make(tmp_path_factory.mktemp("checkout"), lab(COUNT))


def shape(stacks: LabStacks, **changes: Any) -> Mapping[str, Any]:
    """Return two frontends and two workers on two hosts."""
    target = stacks.lab.target()
    target["inventory"] = target["inventory"][:COUNT]
    roles = {"frontend": {"replicas": 2}, "aggregated": {"replicas": COUNT}}
    return {"pattern": "agg", "roles": roles, "target": target | changes.pop("target", {}), **changes}


def test_up_with_a_managed_firewall_is_proved_and_destroy_leaves_nothing(stacks: LabStacks) -> None:
    before = {host.name: picture(host) for host in stacks.lab.hosts}
    managed = {"firewall": {"mode": "manage", "clients": ["10.0.0.0/8"]}}
    stacks.write("on-walled", shape(stacks, target=managed), hosts=COUNT)
    assert "FAIL" not in stacks.up("on-walled")
    for host in stacks.lab.hosts[:COUNT]:
        host.exec(["nft", "list", "table", "inet", nftables.TABLE], check=True)
    assert complete(stacks.checkout.outputs("on-walled"))["usage"]["completion_tokens"] == 8
    stacks.checkout.unchanged("on-walled")
    stacks.down("on-walled")
    assert {host.name: picture(host) ^ before[host.name] for host in stacks.lab.hosts} == {
        name: set() for name in before
    }
    for host in stacks.lab.hosts:
        assert nftables.TABLE not in host.exec(["nft", "list", "ruleset"], check=True).stdout


def test_up_names_the_way_that_somebody_elses_firewall_closes(stacks: LabStacks) -> None:
    head, other = stacks.lab.hosts[:COUNT]
    rules = Path("/etc/somebody.nft")
    other.exec(["tee", str(rules)], stdin=IN_THE_WAY % head.address, check=True)
    other.exec(["nft", "--file", str(rules)], check=True)
    stacks.write("on-blocked", shape(stacks, proofSeconds=30), hosts=COUNT)
    try:
        failed = stacks.checkout.run("scripts/up", "on-blocked", check=False)
        output = failed.stdout + failed.stderr
        assert failed.returncode != 0
        assert f"{head.name} cannot reach 1 of " in output
        assert f"{other.name} {other.address}:9401  no answer within 3 s, as behind a firewall" in output
        other.exec(["nft", "delete", "table", "inet", "somebody"], check=True)
        assert "FAIL" not in stacks.up("on-blocked")
    finally:
        other.exec(["rm", "-f", str(rules)])
        stacks.down("on-blocked")
