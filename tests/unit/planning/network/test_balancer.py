"""Several frontends behind a balancer: who listens where, and what the balancer is told."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nodectl.common import programs
from nodectl.common.errors import BadInputError
from nodectl.common.layout import Layout
from nodectl.services.argv import Folders, argv
from nodectl.supervisors import launch
from nodectl.supervisors.launch import Launch
from nodectl.verbs.gate import Gatekeeper, Word
from planning import installed, manifests, plan, proof_spec, restarts
from planning.changes.topology import topology
from settings import Settings
from tests.unit.plan_examples import addresses, services, settings


def behind(frontends: int, workers: int = 3) -> Settings:
    """Return a stack file of so many frontends."""
    return settings("agg", {"aggregated": {"replicas": workers}, "frontend": {"replicas": frontends}})


def configuration(frontends: int) -> list[str]:
    balancer = services(behind(frontends))["node-1/balancer"]
    return balancer.files["haproxy.cfg"].splitlines()


def test_the_endpoint_stays_where_it_is_however_many_frontends_there_are() -> None:
    for count in (1, 2, 3):
        made = plan(behind(count))
        spec = proof_spec(made, addresses(made), manifests(made, addresses(made)))
        assert spec.endpoint == "http://10.0.0.1:8000"
        assert len(spec.frontends) == count
        assert (spec.endpoint in spec.frontends) == (count == 1)


def test_the_balancer_stands_on_the_head_and_knows_every_frontend() -> None:
    lines = [line.strip() for line in configuration(3)]
    assert "bind 10.0.0.1:8000" in lines
    assert [line for line in lines if line.startswith("server ")] == [
        "server node-1 10.0.0.1:8001",
        "server node-2 10.0.0.2:8001",
        "server node-3 10.0.0.3:8001",
    ]
    assert "node-1/balancer" not in services(behind(1))


def test_what_a_frontend_is_asked_at_is_what_the_balancer_asks() -> None:
    frontend = services(behind(2))["node-2/frontend"]
    assert frontend.gate is not None
    port = frontend.gate.listen.removeprefix("10.0.0.2:")
    assert any(f"check port {port} " in line for line in configuration(2))
    assert frontend.gate.frontend == "http://10.0.0.2:8001"
    assert frontend.ready.http == f"http://10.0.0.2:{port}/ready"
    assert services(behind(1))["node-1/frontend"].gate is None


def test_only_the_machine_with_the_balancer_must_have_haproxy_and_no_worker_changes_for_it() -> None:
    made = plan(behind(2))
    assert [installed(made, node.name).programs for node in made.nodes] == [["haproxy"], [], []]
    assert made.generation == plan(behind(1)).generation


def test_one_more_frontend_restarts_nobody() -> None:
    before, after = plan(behind(2)), plan(behind(3))
    lines = restarts(topology(before, addresses(before)), topology(after, addresses(after)))
    assert lines == ["frontend on node-3 starts"]


def test_a_second_frontend_restarts_the_first() -> None:
    before, after = plan(behind(1)), plan(behind(2))
    lines = restarts(topology(before, addresses(before)), topology(after, addresses(after)))
    assert "frontend on node-1 restarts: flags and gate changed" in lines
    assert "balancer on node-1 starts" in lines
    assert "interrupts serving: the only frontend restarts" in lines


def test_another_pattern_is_said_to_interrupt_although_the_balancer_stays() -> None:
    roles = {"prefill": {"replicas": 1}, "decode": {"replicas": 2}, "frontend": {"replicas": 2}}
    before, after = plan(behind(2)), plan(settings("disagg", roles))
    lines = restarts(topology(before, addresses(before)), topology(after, addresses(after)))
    assert "interrupts serving: the pattern changes, every worker is replaced" in lines


def test_a_program_of_the_machine_gets_its_short_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda name: f"/usr/sbin/{name}")
    folders = Folders(Path("/env"), "python", {}, Path("/node/data"), Path("/models"), Path("/s3"))
    assert argv(services(behind(2))["node-1/balancer"], folders) == [
        "/usr/sbin/haproxy",
        "-W",
        "-f",
        "/node/data/balancer/haproxy.cfg",
    ]


def test_a_machine_without_haproxy_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_FOLDERS", ())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BadInputError, match="haproxy is not on this machine: `apt install haproxy`"):
        programs.ensure("haproxy")


def started(**changes: Any) -> Launch:
    known: dict[str, Any] = {"argv": ["/x"], "env": {}, "secrets": [], "after": [], "stop_seconds": 5}
    return Launch(**known | {"gang": None, "files": {"a.cfg": "old"}, "reload": "USR2"} | changes)


def test_only_changed_files_are_read_again_without_a_restart() -> None:
    assert launch.reloads(started(), started(files={"a.cfg": "new"}))
    assert not launch.reloads(started(), started())
    assert not launch.reloads(started(), started(files={"a.cfg": "new"}, env={"A": "1"}))
    assert not launch.reloads(started(reload=None), started(files={"a.cfg": "new"}, reload=None))


def test_files_are_not_written_through_a_link_that_a_service_put_there(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "node")
    layout.make()
    (tmp_path / "elsewhere").mkdir()
    layout.own_data("balancer").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="balancer"):
        launch.write_files(started(), layout, "balancer")
    assert not list((tmp_path / "elsewhere").iterdir())


class Frontend(BaseHTTPRequestHandler):
    models: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": self.models}).encode())

    def log_message(self, *_: Any) -> None:
        pass


def test_a_gate_says_no_more_before_it_lets_the_frontend_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Frontend) as frontend:
        threading.Thread(target=frontend.serve_forever, daemon=True).start()
        keeper = Gatekeeper(f"http://127.0.0.1:{frontend.server_port}")
        assert keeper.ask() is Word.NOT_YET, "it is healthy, but knows no model"
        monkeypatch.setattr(Frontend, "models", ["tiny"])
        assert not keeper.open, "the balancer has not asked yet"
        assert keeper.ask() is Word.SEND
        keeper.hear(Word.SEND)
        assert keeper.open
        asking = threading.Timer(0.1, lambda: keeper.hear(keeper.ask()))
        asking.start()
        assert keeper.close(10), "the balancer heard it"
        assert keeper.ask() is Word.NO_MORE
        assert not keeper.open
        frontend.shutdown()


def test_a_gate_does_not_wait_long_for_a_balancer_that_is_away() -> None:
    keeper = Gatekeeper("http://127.0.0.1:9")
    assert keeper.ask() is Word.NOT_YET
    assert not keeper.close(0.05)
