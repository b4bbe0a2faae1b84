"""`nodectl apply` under a real supervisord: what differs starts, restarts or goes, and nothing else does."""

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nodectl.contract import codec
from planning import manifests, plan
from tests.engine.nodectl.node import RUNTIME, Node, alive
from tests.unit.plan_examples import disagg
from tests.waiting import eventually

HOSTILE = "a b 'c' \"d\" $(touch /tmp/hostile) `id` ; # % %(here)s ${x} \\ \n newline ünïcödé 日本"


def test_a_second_apply_changes_nothing(node: Node) -> None:
    services = {"one": node.fake("one"), "two": node.fake("two")}
    assert node.apply(**services)["started"] == ["one", "two"]
    pid = node.report("one")["pid"]
    applied = node.apply(**services)
    assert applied == {"started": [], "restarted": [], "removed": [], "unchanged": ["one", "two"]}
    assert node.report("one")["pid"] == pid


@pytest.mark.parametrize(
    "change",
    [{"flags": {"text": "new"}}, {"env": {"NEW": "1"}}, {"secrets": ["NEW"]}, {"stop": {"seconds": 6}}],
    ids=["flag", "env", "secret", "stop"],
)
def test_a_change_restarts_only_that_service(node: Node, change: dict[str, Any]) -> None:
    node.done("secrets", stdin={"NEW": "value"})
    node.apply(one=node.fake("one"), two=node.fake("two"))
    before = {name: node.report(name)["pid"] for name in ("one", "two")}
    applied = node.apply(one=node.fake("one"), two=node.fake("two", **change))
    assert applied == {"started": [], "restarted": ["two"], "removed": [], "unchanged": ["one"]}
    assert node.report("one")["pid"] == before["one"]
    assert node.report("two")["pid"] != before["two"]


def test_a_service_that_left_ends_before_its_successor_takes_the_port(node: Node, address: str) -> None:
    listen = {"listen": f"{address}:8000"}
    node.apply(old=node.fake("old", flags=listen | {"linger": 1}))
    old = node.report("old")["pid"]
    applied = node.apply(new=node.fake("new", flags=listen, ready={"tcp": f"{address}:8000", "seconds": 5}))
    assert applied == {"started": ["new"], "restarted": [], "removed": ["old"], "unchanged": []}
    assert not alive(old)
    eventually(lambda: node.status()["new"].ready, what="the successor listens")
    assert node.status()["new"].restarts == 0
    assert node.stopped_gracefully("old")


def test_each_port_of_a_deployment_that_others_hold_is_told_and_nothing_starts(
    node: Node, address: str
) -> None:
    wanted = manifests(
        plan(disagg(target={"kind": "local", "gpusPerNode": 3, "nodes": 1})), {"node-1": address}
    )
    manifest = codec.encode(wanted["node-1"])
    manifest["runtime"] = RUNTIME
    listeners = [
        (name, listener.key, *listener.endpoint)
        for name, service in wanted["node-1"].services.items()
        for listener in service.listens
    ]
    with ExitStack() as held:
        for _, _, host, port in listeners:
            held.enter_context(socket.create_server((host, port)))
        refusal = node.run("apply", stdin=manifest)
    assert refusal.returncode == 1
    for name, key, host, port in listeners:
        told = f"{name}: port {port} of {host} is taken by process {os.getpid()} ("
        [line] = [line for line in refusal.stderr.splitlines() if told in line]
        assert f"`ports.{key}`" in line
    assert not node.processes()


def test_a_service_goes_on_where_its_next_port_is_taken_by_others(node: Node, address: str) -> None:
    def one(port: int) -> dict[str, Any]:
        at = f"{address}:{port}"
        return node.fake("one", flags={"listen": at, "child": True}, listens=[{"key": "nats", "at": at}])

    node.apply(one=one(8000))
    before = node.report("one")["pid"]
    with socket.create_server((address, 8001)):
        refusal = node.run("apply", stdin=node.manifest(one=one(8001)))
    assert f"one: port 8001 of {address} is taken by" in refusal.stderr
    assert node.report("one")["pid"] == before
    assert node.apply(one=one(8000) | {"stop": {"seconds": 6}})["restarted"] == ["one"], "its own port"
    assert node.apply(one=one(8001))["restarted"] == ["one"]


def test_data_go_with_their_service_and_stay_otherwise(node: Node) -> None:
    node.apply(etcd_1=node.fake("etcd-1", flags={"text": "${data}/etcd-1"}), other=node.fake("other"))
    data = node.report("etcd-1")["argv"][-1]
    assert Path(data) == node.layout.data / "etcd-1"
    Path(data).mkdir()
    node.apply(
        etcd_1=node.fake("etcd-1", flags={"text": "${data}/etcd-1", "linger": 0}), other=node.fake("other")
    )
    assert Path(data).exists()
    node.apply(other=node.fake("other"))
    assert not Path(data).exists()


def test_a_changed_file_restarts_its_service(node: Node) -> None:
    path = node.layout.own_data("one") / "some.cfg"
    node.apply(one=node.fake("one", files={"some.cfg": "in ${data}"}))
    node.report("one")
    assert path.read_text() == f"in {node.layout.data}"
    assert node.apply(one=node.fake("one", files={"some.cfg": "new"}))["restarted"] == ["one"]
    node.report("one")
    assert path.read_text() == "new"


def test_a_service_that_can_reads_its_changed_file_and_goes_on(node: Node) -> None:
    path = node.layout.own_data("one") / "some.cfg"
    node.apply(one=node.fake("one", files={"some.cfg": "old"}, reload="HUP"))
    pid = node.report("one")["pid"]
    changed = node.fake("one", files={"some.cfg": "new"}, reload="HUP")
    assert node.apply(one=changed)["unchanged"] == ["one"]
    eventually(node.report_file("one").with_suffix(".reread").exists, what="it was told to read its file")
    assert path.read_text() == "new"
    assert node.status()["one"].pid == pid
    assert node.apply(one=changed)["unchanged"] == ["one"]


def test_hostile_values_reach_the_service_as_they_are(node: Node) -> None:
    env = {"HOSTILE": HOSTILE, "EMPTY": ""}
    service = node.fake("one", flags={"text": [HOSTILE, ""], "word": "--crash"}, env=env)
    node.apply(one=service)
    report = node.report("one")
    assert report["argv"][-4:] == ["--text", HOSTILE, "", "--word=--crash"]
    assert report["env"]["HOSTILE"] == HOSTILE
    assert report["env"]["EMPTY"] == ""
    assert report["cwd"] == str(node.layout.data)
    assert node.apply(one=service)["unchanged"] == ["one"]


@pytest.mark.parametrize(
    "folder", ["with space", "q'u\"o;te", "a ;b #c", "50%(x)s", "[glob]*", "ünï", "deep/" * 40]
)
def test_a_project_folder_may_have_any_name(tmp_path: Path, cache: Path, folder: str) -> None:
    node = Node(tmp_path / folder / ".run" / "stack" / "node-1", cache)
    assert node.apply(one=node.fake("one"))["started"] == ["one"]
    assert node.report("one")["cwd"] == str(node.layout.data)
    assert "fake service starts" in node.run("logs", "one").stdout
    node.done("remove")
    assert not (tmp_path / folder / ".run").exists()
    assert not node.processes()


def test_services_inherit_nothing_of_the_user(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "planted")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    node.apply(one=node.fake("one"))
    env = node.report("one")["env"]
    assert "planted" not in env.values()
    assert env["HOME"] == os.environ["HOME"]
    assert env["PATH"].startswith(str(node.cache))
    for process in node.processes():
        assert "planted" not in process.environ().values()


def test_a_service_starts_when_what_it_needs_listens(node: Node, address: str) -> None:
    endpoint = f"{address}:8000"
    worker = node.fake("worker", after=[endpoint])
    node.apply(worker=worker)
    eventually(
        lambda: f"waiting for {endpoint}" in node.log("worker"), what="the worker says what it waits for"
    )
    assert not node.report_file("worker").exists()
    pid = node.status()["worker"].pid
    node.apply(worker=worker, store=node.fake("store", flags={"listen": endpoint}))
    assert node.report("worker")["pid"] == pid


def test_what_others_need_is_stopped_last(node: Node, address: str) -> None:
    endpoint = f"{address}:8000"
    node.apply(
        worker=node.fake("worker", after=[endpoint], flags={"linger": 1}),
        store=node.fake("store", flags={"listen": endpoint}),
    )
    node.report("worker")
    lines = node.run("apply", stdin=node.manifest()).stderr.splitlines()
    assert lines == ["stopping worker", "stopping store"]


def test_a_service_that_crashes_is_started_again_and_again_until_a_change_helps(node: Node) -> None:
    node.apply(one=node.fake("one", flags={"crash": True}))
    eventually(lambda: node.status()["one"].restarts >= 2, what="two restarts")
    node.apply(one=node.fake("one"))
    node.report("one")
    now = node.status()["one"]
    assert now.ready
    assert now.restarts == 0


def test_only_the_main_process_is_told_to_stop_and_its_children_go_with_it(node: Node) -> None:
    node.apply(one=node.fake("one", flags={"child": True}))
    report = node.report("one")
    node.apply()
    assert node.stopped_gracefully("one")
    assert not alive(report["child"])


def test_what_a_killed_service_left_is_ended_before_it_starts_again(node: Node) -> None:
    node.apply(one=node.fake("one", flags={"child": True}), two=node.fake("two", flags={"child": True}))
    report, other = node.report("one"), node.report("two")
    os.kill(report["pid"], signal.SIGKILL)
    eventually(lambda: node.report("one")["pid"] != report["pid"], what="the service is new")
    assert not alive(report["child"])
    assert alive(other["child"])


def test_a_service_that_does_not_stop_is_killed_with_its_children_after_its_stop_time(node: Node) -> None:
    node.apply(one=node.fake("one", flags={"linger": 100, "child": True}, stop={"seconds": 1}))
    report = node.report("one")
    assert node.apply()["removed"] == ["one"]
    assert not alive(report["pid"])
    assert not alive(report["child"])


def test_two_applies_at_once_both_converge(node: Node) -> None:
    node.apply(one=node.fake("one", flags={"linger": 2}))
    node.report("one")
    applies = [
        node.start("apply", stdin=node.manifest(one=node.fake("one", flags={"text": text}))) for text in "ab"
    ]
    printed = [process.communicate(timeout=60) for process in applies]
    assert [process.returncode for process in applies] == [0, 0], printed
    assert any("waiting for another nodectl" in stderr for _, stderr in printed)
    node.report("one")
    assert len([p for p in node.processes() if "fake_service" in p.cmdline()]) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema": 2}, "schema: expected 1, got 2; use the same release"),
        ({"planted": "planted-value"}, "planted: unknown key"),
        ({"services": {"../x": {}}}, "services.../x"),
        ({"services": {"x": {"module": 1}}}, "services.x.module: expected text"),
        ({"services": {"x": {"env": {"A B": "planted-value"}}}}, "services.x.env.A B"),
        ({"runtime": RUNTIME | {"variant": "tpu"}}, "runtime.variant"),
    ],
)
def test_a_wrong_manifest_is_refused_by_key_and_not_repeated(
    node: Node, change: dict[str, Any], named: str
) -> None:
    refusal = node.run("apply", stdin=node.manifest() | change)
    assert refusal.returncode == 2
    assert named in refusal.stderr
    assert "planted-value" not in refusal.stderr
    assert "Traceback" not in refusal.stderr
    assert not node.root.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"', "null", "[" * 100_000])
def test_what_is_no_manifest_at_all_is_refused(node: Node, text: str) -> None:
    refusal = node.run("apply", stdin=text)
    assert refusal.returncode == 2
    assert "standard input" in refusal.stderr
    assert "Traceback" not in refusal.stderr


def test_a_null_character_is_refused_before_anything_changes(node: Node) -> None:
    refusal = node.run("apply", stdin=node.manifest(one=node.fake("one", env={"A": "x\0y"})))
    assert refusal.returncode == 2
    assert "services.one" in refusal.stderr


def test_a_runtime_that_is_not_installed_is_named_with_the_command_that_installs_it(node: Node) -> None:
    manifest = node.manifest() | {"runtime": RUNTIME | {"variant": "gpu"}}
    refusal = node.run("apply", stdin=manifest)
    assert refusal.returncode == 2
    assert "nodectl install" in refusal.stderr
