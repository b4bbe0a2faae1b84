"""Nodes of a cloud that have nothing to do end, and those that are taken away drain first."""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodectl.common.layout import Layout
from nodectl.contract import codec
from nodectl.contract.manifest import Manifest, Ready, Service, Stop, Watch
from nodectl.contract.runtime import RuntimeSpec
from nodectl.host import idle_and_spot as watch
from nodectl.host import units
from nodectl.host.idleness import Idleness, Load, Word, load
from nodectl.host.imds import ENDPOINT_VARIABLE, Metadata, UnreachableError
from tests.unit import cloud_standins as cloud
from tests.unit.cloud_standins import METRICS, Etcd, Frontend, Imds
from tests.unit.nodectl.stub_programs import StubPrograms

INTERRUPTION = "/latest/meta-data/spot/instance-action"
REBALANCE = "/latest/meta-data/events/recommendations/rebalance"
KEY = "/dynamo-multinode/disagg/idle"


def manifest(spec: Watch | None) -> Manifest:
    def service(module: str, *after: str) -> Service:
        ready, stop = Ready(process=True, seconds=1), Stop(seconds=1)
        return Service(module=module, ready=ready, stop=stop, after=list(after))

    return Manifest(
        node="node-1",
        identity="first",
        runtime=RuntimeSpec(variant="mocker", lock="x", model=None),
        generation="g1",
        services={
            "etcd": service("etcd"),
            "frontend": service("dynamo.frontend", "a:1"),
            "decode-0": service("dynamo.vllm", "a:1"),
        },
        watch=spec,
    )


QUIET, BUSY, MORE = Load(5, busy=False), Load(5, busy=True), Load(6, busy=False)


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ([(0, QUIET), (50, QUIET), (59, QUIET)], [Word.NOTHING, Word.WARN, Word.NOTHING]),
        ([(0, QUIET), (50, QUIET), (60, QUIET), (65, QUIET)], [Word.NOTHING, Word.WARN, Word.END, Word.END]),
        (
            [(0, QUIET), (50, QUIET), (55, MORE), (70, MORE)],
            [Word.NOTHING, Word.WARN, Word.CALL_OFF, Word.NOTHING],
        ),
        ([(0, QUIET), (70, BUSY), (80, QUIET), (129, QUIET)], [Word.NOTHING] * 3 + [Word.NOTHING]),
        ([(0, QUIET), (70, None), (80, QUIET), (129, QUIET)], [Word.NOTHING] * 4),
        ([(100, QUIET), (101, QUIET)], [Word.NOTHING] * 2),
        ([(0, MORE), (70, QUIET)], [Word.NOTHING] * 2),  # the frontend began anew
    ],
    ids=["warned", "ended", "used again", "in flight", "unknown", "just begun", "restarted"],
)
def test_idleness_is_what_was_seen_without_a_gap(looks: list[tuple[float, Any]], said: list[Word]) -> None:
    idleness = Idleness(60, 10)
    assert [idleness.see(at, seen) for at, seen in looks] == said


def test_the_load_is_that_of_all_frontends_and_unknown_where_one_speaks_otherwise() -> None:
    pages = [METRICS.format(busy=0, requests=4), METRICS.format(busy=1, requests=3)]
    assert load(pages) == Load(7, busy=True)
    assert load(pages[:1]) == Load(4, busy=False)
    assert load([*pages, "other_requests_total 5\n"]) is None


@pytest.fixture
def imds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Imds]:
    with cloud.imds() as found:
        monkeypatch.setenv(ENDPOINT_VARIABLE, found.url)
        yield found


def test_the_metadata_service_is_asked_with_a_token_that_is_renewed_when_it_ends(imds: Imds) -> None:
    metadata = Metadata()
    assert metadata.interruption() is None
    imds.documents[INTERRUPTION] = {"action": "terminate", "time": "2026-11-25T08:22:00Z"}
    assert metadata.interruption() == imds.documents[INTERRUPTION]
    assert imds.tokens_given == 1
    imds.token = "second"
    assert metadata.rebalance() is None
    assert imds.tokens_given == 2


def test_a_metadata_service_that_is_away_is_one_kind_of_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT_VARIABLE, "http://127.0.0.1:9")
    with pytest.raises(UnreachableError, match=r"http://127.0.0.1:9/latest/api/token: .*refused"):
        Metadata().interruption()


class Machine:
    """A machine whose clock, power and supervisor are the test's."""

    def __init__(self, folder: Path, programs: StubPrograms, store: Etcd, name: str = "node-1") -> None:
        self.layout = Layout.at(folder / "disagg" / name)
        self.layout.root.mkdir(parents=True)
        self.programs = programs
        self.store = store
        self.watcher = watch.Watcher(self.layout, Metadata())

    def is_to(self, **spec: Any) -> None:
        watch = replace(Watch(etcd=self.store.address, drain_seconds=60), **spec)
        self.layout.manifest.write_text(codec.written(manifest(watch)))

    @property
    def is_off(self) -> bool:
        return "systemctl poweroff" in self.programs.calls()

    @property
    def said(self) -> Any:
        encoded = self.store.keys.get(base64.b64encode(KEY.encode()).decode())
        return None if encoded is None else json.loads(base64.b64decode(encoded))

    def say(self, word: str, age: float) -> None:
        text = json.dumps({"word": word, "at": time.time() - age})
        self.store.keys[base64.b64encode(KEY.encode()).decode()] = base64.b64encode(text.encode()).decode()


class Clock:
    """Time passes only where a test says so, or somebody sleeps."""

    CLOCK_BOOTTIME = time.CLOCK_BOOTTIME

    def __init__(self) -> None:
        self.now = 0.0
        self.up = 9999.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def time(self) -> float:
        return time.time()

    def clock_gettime(self, _: int) -> float:
        return self.up


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(watch, "time", found)
    return found


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubPrograms:
    found = StubPrograms(tmp_path / "bin", monkeypatch)
    for name in ("systemctl", "wall"):
        found.add(name)
    return found


@pytest.fixture
def machine(tmp_path: Path, programs: StubPrograms, store: Etcd, clock: Clock, imds: Imds) -> Machine:
    return Machine(tmp_path, programs, store)


@pytest.fixture
def server() -> Iterator[Frontend]:
    with cloud.frontend() as found:
        yield found


def test_the_head_warns_tells_the_others_waits_for_them_and_ends(
    machine: Machine, server: Frontend, clock: Clock
) -> None:
    machine.is_to(frontends=[server.url], idle_minutes=30, warn_minutes=10)
    machine.watcher.look()
    clock.now = 20 * 60
    machine.watcher.look()
    assert machine.said["word"] == "warn"
    (warning,) = machine.programs.calls("wall")
    assert "end in 10 minutes, unless one comes" in warning
    assert not machine.is_off
    clock.now = 30 * 60
    machine.watcher.look()
    assert machine.said["word"] == "end"
    assert clock.now == 30 * 60 + watch.HEED_SECONDS
    assert machine.is_off


def test_a_request_after_the_warning_calls_the_end_off(
    machine: Machine, server: Frontend, clock: Clock
) -> None:
    machine.is_to(frontends=[server.url], idle_minutes=30, warn_minutes=10)
    for minute, requests in ((0, 1), (25, 1), (29, 2), (35, 2)):
        clock.now, server.requests = minute * 60, requests
        machine.watcher.look()
    assert machine.said["word"] == "call off"
    assert not machine.is_off


def test_nothing_ends_while_a_frontend_does_not_answer(
    machine: Machine, server: Frontend, clock: Clock
) -> None:
    machine.is_to(frontends=[server.url, "http://127.0.0.1:9"], idle_minutes=30)
    for minute in (0, 31, 90):
        clock.now = minute * 60
        machine.watcher.look()
    assert not machine.is_off
    assert machine.said is None


def test_the_head_does_not_end_before_etcd_has_told_the_others(
    machine: Machine, server: Frontend, clock: Clock
) -> None:
    machine.is_to(frontends=[server.url], idle_minutes=30, etcd="127.0.0.1:9")
    machine.watcher.look()
    clock.now = 31 * 60
    machine.watcher.look()
    assert not machine.is_off
    machine.is_to(frontends=[server.url], idle_minutes=30)
    machine.watcher.look()
    assert machine.is_off


@pytest.mark.parametrize(
    ("said", "up", "ends"),
    [
        (("end", 1), 9999, True),
        (("warn", 1), 9999, False),
        (("call off", 1), 9999, False),
        (("end", watch.FRESH_SECONDS + 1), 9999, False),
        (("end", 60), 30, False),
        (("end", -60), 9999, False),
    ],
    ids=["told", "warned", "called off", "long ago", "before this boot", "another clock"],
)
def test_other_nodes_end_when_the_head_says_so_now(
    machine: Machine, clock: Clock, said: tuple[str, float], up: float, ends: bool
) -> None:
    clock.up = up
    machine.is_to(idle_minutes=30)
    machine.say(*said)
    machine.watcher.look()
    machine.watcher.look()
    assert machine.is_off == ends
    assert len(machine.programs.calls("wall")) == (0 < said[1] < min(up, watch.FRESH_SECONDS))


def test_other_nodes_go_on_without_etcd(machine: Machine, clock: Clock) -> None:
    machine.is_to(idle_minutes=30, etcd="127.0.0.1:9")
    clock.now = 1e6
    machine.watcher.look()
    assert machine.programs.calls() == []


def listed(address: str, component: str = "backend") -> str:
    return json.dumps({"component": component, "transport": {"tcp": f"{address}/x"}})


def test_an_interruption_notice_takes_requests_away_waits_for_those_in_flight_and_stops_the_workers(
    machine: Machine, imds: Imds, clock: Clock
) -> None:
    mine, other = "10.0.0.2:9401", "10.0.0.3:9401"
    for key, address in (("v1/instances/a", mine), ("v1/instances/b", other)):
        machine.store.keys[base64.b64encode(key.encode()).decode()] = base64.b64encode(
            listed(address).encode()
        ).decode()
    machine.is_to(spot=True, workers=[mine], drain_seconds=60)
    machine.watcher.look()
    assert machine.programs.calls() == []
    imds.documents[INTERRUPTION] = {"action": "terminate", "time": "2026-11-25T08:22:00Z"}
    machine.watcher.look()
    machine.watcher.look()
    assert [base64.b64decode(key).decode() for key in machine.store.keys] == ["v1/instances/b"]
    assert clock.now == 60
    stops = ["systemctl stop --no-block -- dynamo.disagg.node-1.decode-0.service"]
    assert machine.programs.calls("systemctl") == stops
    (said,) = machine.programs.calls("wall")
    assert "terminate at 2026-11-25T08:22:00Z; draining" in said


def ends_in(minutes: float) -> str:
    """Return the end of a capacity block that EC2 clears in so many minutes."""
    when = time.time() + 60 * (30 + minutes)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))


@pytest.mark.parametrize(
    ("minutes", "told", "off"),
    [(60 * 24, False, False), (16, False, False), (14, True, False), (6, True, False), (4, True, True)],
)
def test_a_machine_leaves_its_capacity_block_before_ec2_takes_it_away(
    machine: Machine, clock: Clock, minutes: float, told: bool, off: bool
) -> None:
    machine.is_to(ends=ends_in(minutes), workers=["10.0.0.2:9401"], etcd="127.0.0.1:9")
    for _ in range(2):
        machine.watcher.look()
    assert any("the capacity block ends at" in said for said in machine.programs.calls("wall")) == told
    stops = [call for call in machine.programs.calls("systemctl") if " stop " in call]
    assert stops == (["systemctl stop --no-block -- dynamo.disagg.node-1.decode-0.service"] if off else [])
    assert machine.is_off == off


def test_requests_in_flight_end_before_a_capacity_block_does(machine: Machine, clock: Clock) -> None:
    mine, key = "10.0.0.2:9401", base64.b64encode(b"v1/instances/a").decode()
    machine.store.keys[key] = base64.b64encode(listed(mine).encode()).decode()
    machine.is_to(ends=ends_in(4), workers=[mine], drain_seconds=60)
    machine.watcher.look()
    assert machine.store.keys == {}
    assert clock.now == 60
    calls = machine.programs.calls("systemctl")
    assert [call.split()[1] for call in calls] == ["stop", "poweroff"]


def test_without_etcd_an_interruption_notice_stops_the_workers_at_once(
    machine: Machine, imds: Imds, clock: Clock
) -> None:
    machine.is_to(spot=True, workers=["10.0.0.2:9401"], etcd="127.0.0.1:9")
    imds.documents[INTERRUPTION] = {"action": "stop", "time": "2026-11-25T08:22:00Z"}
    machine.watcher.look()
    assert clock.now == 0
    assert len(machine.programs.calls("systemctl")) == 1


def test_a_metadata_service_that_stays_away_is_said_once_and_stops_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ENDPOINT_VARIABLE, "http://127.0.0.1:9")
    machine.watcher = watch.Watcher(machine.layout, Metadata())
    machine.is_to(spot=True)
    for _ in range(3):
        machine.watcher.look()
    assert capsys.readouterr().out.count("spot: ") == 1
    assert machine.programs.calls() == []


def test_a_rebalance_recommendation_is_said_once_and_stops_nothing(machine: Machine, imds: Imds) -> None:
    machine.is_to(spot=True)
    imds.documents[REBALANCE] = {"noticeTime": "2026-11-25T08:20:00Z"}
    machine.watcher.look()
    machine.watcher.look()
    (said,) = machine.programs.calls()
    assert said.startswith("wall dynamo-multinode: EC2 recommends")


def test_a_node_without_a_watch_in_its_manifest_is_left_alone(machine: Machine) -> None:
    machine.watcher.look()
    machine.layout.manifest.write_text(codec.written(manifest(None)))
    machine.watcher.look()
    assert machine.programs.calls() == []


def test_the_watch_is_a_unit_that_restarts_only_when_it_changes(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "FOLDER", tmp_path)
    monkeypatch.setattr(units, "STAMPS", tmp_path / "run")
    watch.keep(machine.layout, wanted=True)
    unit = (tmp_path / watch.UNIT).read_text()
    assert f"/nodectl/run node watch --root {machine.layout.root}\n" in unit
    assert machine.programs.calls()[-1] == f"systemctl restart --no-block -- {watch.UNIT}"
    before = machine.programs.calls()
    watch.keep(machine.layout, wanted=True)
    assert machine.programs.calls() == before
    watch.keep(machine.layout, wanted=False)
    assert not (tmp_path / watch.UNIT).exists()
