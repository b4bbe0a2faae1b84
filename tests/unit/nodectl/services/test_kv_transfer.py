"""Workers that were told to move KV blocks over EFA are seen to do so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nodectl.common.errors import NodectlError, TimedOutError
from nodectl.contract import codec
from nodectl.contract.probe import Transfer
from nodectl.services import kv_transfer
from nodectl.supervisors import unitfile
from planning import plan, probe_spec
from settings import Settings
from tests.unit import cloud_standins as cloud
from tests.unit.cloud_standins import Frontend
from tests.unit.nodectl.stub_programs import StubPrograms
from tests.unit.plan_examples import addresses, disagg, real

ONE = {"parallelism": {"tensor": 8}}
REAL = real("disagg", {"prefill": ONE, "decode": ONE})
TARGET = {
    "kind": "aws",
    "instanceType": "p5.48xlarge",
    "region": "us-east-1",
    "adminRanges": ["203.0.113.7/32"],
}


@pytest.fixture
def worker() -> Iterator[Frontend]:
    with cloud.frontend() as found:  # any path of it answers 200
        yield found


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubPrograms:
    monkeypatch.setattr(unitfile, "FOLDER", tmp_path)
    (tmp_path / "dynamo.prod.eu.node-2.decode-0.service").touch()
    found = StubPrograms(tmp_path / "bin", monkeypatch)
    found.add("systemctl", "echo 1f2e")
    return found


def wanted(url: str, service: str = "decode-0", seconds: int = 1) -> Transfer:
    return Transfer(
        service=service, backend="LIBFABRIC", health=f"{url}/health", seconds=seconds, revision="x"
    )


def test_a_worker_whose_log_has_the_backend_is_taken(programs: StubPrograms, worker: Frontend) -> None:
    programs.add("journalctl", "echo 2026 INFO nixl_agent: Backend LIBFABRIC was instantiated")
    kv_transfer.see("node-2", wanted(worker.url))
    assert programs.calls("systemctl")[0].endswith(" dynamo.prod.eu.node-2.decode-0.service")
    assert programs.calls("journalctl")[0].endswith(" _SYSTEMD_INVOCATION_ID=1f2e")


def test_a_worker_that_fell_back_is_refused_with_what_its_log_says(
    programs: StubPrograms, worker: Frontend
) -> None:
    programs.add(
        "journalctl", "echo loading weights; echo NIXL WARN no plugin; echo Backend UCX was instantiated"
    )
    with pytest.raises(NodectlError) as refusal:
        kv_transfer.see("node-2", wanted(worker.url))
    first, *lines = str(refusal.value).splitlines()
    assert first.startswith("decode-0 on node-2 serves, but moves KV blocks without LIBFABRIC")
    assert "efa: false" in first
    assert lines == ["    NIXL WARN no plugin", "    Backend UCX was instantiated"]


def test_a_worker_that_does_not_get_healthy_is_waited_for_no_longer_than_its_time(
    programs: StubPrograms,
) -> None:
    with pytest.raises(TimedOutError, match=r"decode-0 on node-2 was not healthy within 1 s"):
        kv_transfer.see("node-2", wanted("http://127.0.0.1:9"))


def test_a_worker_that_is_not_here_is_told(programs: StubPrograms, worker: Frontend) -> None:
    with pytest.raises(NodectlError, match=r"prefill-0 of node-2 has no unit on this host"):
        kv_transfer.see("node-2", wanted(worker.url, "prefill-0"))


def looked_at(of: Settings, node: str) -> list[Transfer]:
    planned = plan(of)
    return list(probe_spec(planned, addresses(planned), node).transfers)


def test_each_node_looks_at_its_own_workers_where_they_have_efa() -> None:
    assert [one.service for one in looked_at(REAL, "node-1")] == ["prefill-0"]
    (decode,) = looked_at(REAL, "node-2")
    assert (decode.service, decode.backend) == ("decode-0", "LIBFABRIC")
    assert decode.health == "http://10.0.0.2:9090/health"


def test_without_efa_there_is_nothing_to_look_at_and_the_spec_says_nothing_of_it() -> None:
    off = real("disagg", {"prefill": ONE, "decode": ONE}, target=TARGET | {"efa": False})
    for of in (off, disagg()):
        planned = plan(of)
        assert "transfers" not in codec.written(probe_spec(planned, addresses(planned), "node-1"))


def test_a_worker_that_is_started_otherwise_is_looked_at_again() -> None:
    role = ONE | {"flags": {"max-model-len": 8192}}
    changed = real("disagg", {"prefill": ONE, "decode": role})
    assert looked_at(changed, "node-1") == looked_at(REAL, "node-1")
    assert looked_at(changed, "node-2") != looked_at(REAL, "node-2")
