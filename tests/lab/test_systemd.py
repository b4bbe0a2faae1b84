"""nodectl on real hosts: systemd keeps the services, and nothing that happens to a host needs a person."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodectl.contract import codec
from nodectl.contract.runtime import ModelSource, PreinstalledEngine
from nodectl.supervisors import unitfile
from nodectl.supervisors.supervisor import Unit
from planning import manifests, plan
from tests.install_specs import generated, spec
from tests.lab.host_node import HostNode
from tests.lab.picture import picture
from tests.unit.plan_examples import agg
from tests.waiting import eventually
from tools.hostlab.host import Host
from tools.hostlab.lab import Lab

HOSTILE = "a b 'c' \"d\" $HOME ${HOME} $(touch /tmp/x) `id` ; # % %i %% \\ \\x41 \n \t newline ünïcödé 日本"
PORT = 8000
MODEL = "tiny"


@pytest.fixture(scope="module")
def host(lab: Callable[[int], Lab]) -> Host:
    return lab(1).host("lab-1")


@pytest.fixture
def node(host: Host) -> Iterator[HostNode]:
    """A node that is removed at the end."""
    node = HostNode(host)
    node.put_release()
    yield node
    node.put_release()
    node.done("remove")


def deployment(node: HostNode) -> dict[str, Any]:
    """Return the manifest of a whole deployment on one host: NATS, etcd, frontend and a simulated engine."""
    planned = plan(agg(1))
    (only,) = planned.nodes
    manifest = manifests(planned, {only.name: node.host.address})[only.name]
    document: dict[str, Any] = codec.encode(replace(manifest, identity="first"))
    return document


def completes(node: HostNode) -> bool:
    """Return whether a request is answered with as many tokens as it asks for."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
    script = f"""
import json, urllib.request
url = "http://{node.host.address}:{PORT}/v1/chat/completions"
request = urllib.request.Request(url, {json.dumps(body).encode()!r}, {{"Content-Type": "application/json"}})
print(json.load(urllib.request.urlopen(request, timeout=10))["usage"]["completion_tokens"])
"""
    return node.host.exec(["python3", "-c", script]).stdout.strip() == "8"


def serving(node: HostNode) -> bool:
    return eventually(lambda: completes(node), what="a completion", seconds=60)


def test_a_deployment_serves_and_comes_back_from_a_reboot_and_from_a_power_cut(node: HostNode) -> None:
    assert node.done("install", stdin=codec.encode(spec(model=generated(MODEL))))["cached"]
    manifest = deployment(node)
    assert node.done("apply", stdin=manifest)["started"] == ["aggregated-0", "etcd", "frontend", "nats"]
    assert serving(node)
    assert eventually(node.ready, what="status says that all is ready")
    assert node.output_of("ps", "-o", "user=", "-p", str(node.pid("frontend"))).startswith("dynamo")

    node.host.reboot()
    assert serving(node)
    node.host.kill()
    node.host.start()
    assert serving(node)
    again = node.done("apply", stdin=manifest)
    assert again["unchanged"] == ["aggregated-0", "etcd", "frontend", "nats"]

    worker = manifest["services"]["aggregated-0"]
    worker["flags"]["speedup-ratio"] = 20
    frontend = node.pid("frontend")
    assert node.done("apply", stdin=manifest)["restarted"] == ["aggregated-0"]
    assert node.pid("frontend") == frontend
    assert serving(node)


def test_services_that_apply_had_stopped_start_at_boot(node: HostNode) -> None:
    """As after a power cut in the middle of an apply."""
    node.apply(one=node.fake("one"))
    node.report("one")
    node.output_of("systemctl", "stop", node.unit("one"))
    node.host.kill()
    node.host.start()
    node.report("one")
    assert node.apply(one=node.fake("one"))["unchanged"] == ["one"]


def test_a_shutdown_stops_services_before_those_that_they_wait_for(node: HostNode) -> None:
    worker = node.fake("worker", after=["127.0.0.1:22"], env={"LINGER": "1.5"})
    node.apply(worker=worker, store=node.fake("store"))
    node.report("worker")
    node.report("store")
    node.host.stop()
    node.host.start()
    worker_told, store_told = (
        float(node.output_of("stat", "--format=%.Y", f"{node.root}/data/{name}.json.stopped"))
        for name in ("worker", "store")
    )
    assert store_told - worker_told > 1.4


def test_only_what_differs_restarts_and_another_release_restarts_nothing(node: HostNode) -> None:
    node.apply(one=node.fake("one"), two=node.fake("two"), three=node.fake("three"))
    before = {name: node.report(name)["pid"] for name in ("one", "two", "three")}
    assert node.apply(one=node.fake("one"), two=node.fake("two", env={"NEW": "1"})) == {
        "started": [],
        "restarted": ["two"],
        "removed": ["three"],
        "unchanged": ["one"],
    }
    assert node.report("one")["pid"] == before["one"]
    assert node.report("two")["pid"] != before["two"]
    assert not node.there(f"/etc/systemd/system/{node.unit('three')}")
    newer = HostNode(node.host, release="r2")
    newer.put_release()
    assert newer.apply(one=node.fake("one"), two=node.fake("two", env={"NEW": "1"}))["unchanged"] == [
        "one",
        "two",
    ]
    assert node.report("one")["pid"] == before["one"]
    assert "/opt/dynamo-multinode/r2" in node.output_of("systemctl", "cat", node.unit("one"))


def test_a_killed_service_comes_back_and_leaves_no_child(node: HostNode) -> None:
    node.apply(one=node.fake("one", child=True))
    first = node.report("one")
    node.output_of("kill", "-9", str(first["pid"]))
    eventually(lambda: node.pid("one") not in (0, first["pid"]), what="it runs again")
    second = node.report("one")
    assert not node.there(f"/proc/{first['child']}")
    assert node.there(f"/proc/{second['child']}")
    assert node.status()["one"]["restarts"] == 1


def test_a_stop_tells_the_main_process_alone_and_kills_the_rest(node: HostNode) -> None:
    node.apply(one=node.fake("one", child=True, env={"LINGER": "1"}))
    report = node.report("one")
    node.apply()
    data = f"{node.root}/data/one.json"
    assert node.there(f"{data}.stopped")
    assert not node.there(f"{data}.heard")
    assert not node.there(f"/proc/{report['child']}")


def test_services_run_apart_and_reach_only_their_own(node: HostNode) -> None:
    node.done("secrets", stdin={"TOKEN": "a-planted-value"})
    node.apply(one=node.fake("one", secrets=["TOKEN"], text=[HOSTILE, ""], env={"ODD": HOSTILE}))
    report = node.report("one")
    assert report["argv"][-2:] == [HOSTILE, ""]
    assert (report["env"]["ODD"], report["env"]["TOKEN"]) == (HOSTILE, "a-planted-value")
    assert report["cwd"] == f"{node.root}/data"
    assert report["env"]["HOME"] == f"{node.root}/home"
    secret = node.output_of("stat", "--format=%a %U", f"{node.root}/secrets/TOKEN")
    assert secret == "600 dynamo-multinode"
    assert "planted" not in node.output_of("systemctl", "show", node.unit("one"))
    assert node.done("secrets", stdin={"TOKEN": "another"})["restarted"] == ["one"]
    assert node.report("one")["env"]["TOKEN"] == "another"
    assert node.run("logs", "one", "-n", "1").stdout == "the service runs\n"


def test_root_follows_no_link_that_a_service_planted(node: HostNode) -> None:
    node.apply(one=node.fake("one"), two=node.fake("two"))
    node.report("one")
    node.output_of("install", "-d", "/srv/kept/deep")
    for name in ("one", "two"):
        node.as_service("ln", "-s", "/srv/kept", f"{node.root}/data/{name}")
    node.apply(two=node.fake("two"))
    assert node.there("/srv/kept/deep")
    node.done("remove")
    assert node.there("/srv/kept/deep")


def test_a_host_is_as_it_was_after_its_last_node_went(host: Host) -> None:
    node = HostNode(host)
    host.exec(["tee", "/srv/fake.py"], stdin="", check=True)
    before = picture(host)
    node.put_release()
    other = HostNode(host, stack="other")
    for host_node in (node, other):
        host_node.done("secrets", stdin={"TOKEN": "value"})
        host_node.apply(one=node.fake("one", secrets=["TOKEN"], child=True))
    assert {"passwd", "group"} <= {line.split(":")[0] for line in picture(host) - before}
    assert node.done("remove", "--identity", "another") == {"removed": False}
    assert node.done("remove", "--identity", "first") == {"removed": True}
    assert node.done("forget", "--identity", "first") == {"forgotten": True}
    assert other.report("one")
    assert other.done("remove") == {"removed": True}
    assert picture(host) == before


@pytest.mark.parametrize("cut", ["process", "power"])
def test_a_remove_that_was_cut_off_is_finished_by_the_next(host: Host, cut: str) -> None:
    node = HostNode(host)
    host.exec(["tee", "/srv/fake.py"], stdin="", check=True)
    before = picture(host)
    node.put_release()
    node.apply(one=node.fake("one", env={"LINGER": "4"}), two=node.fake("two"))
    node.report("one")
    remove = f"/opt/dynamo-multinode/r1/nodectl/run mocker remove --root {node.root}"
    node.output_of("systemd-run", "--unit=removing", "--property=KillMode=process", "sh", "-c", remove)
    eventually(lambda: node.there(f"{node.root}/data/one.json.stopped"), what="it stops services")
    if cut == "power":
        host.kill()
        host.start()
    else:
        node.output_of("systemctl", "kill", "--signal=KILL", "removing")
        host.exec(["systemctl", "reset-failed", "removing"])
    assert node.done("remove") == {"removed": True}
    assert picture(host) == before


def test_values_reach_a_service_through_its_unit_as_they_are(host: Host) -> None:
    report = "/srv/odd dir/said.json"
    values = "[sys.argv[2:], os.environ['ODD'], os.getcwd()]"
    script = f"import json, os, sys; json.dump({values}, open(sys.argv[1], 'w'))"
    host.exec(["install", "-d", "-o", "ops", "/srv/odd dir"], check=True)
    owner = unitfile.Owner(
        stack="odd",
        node="n",
        root=Path("/srv/odd dir"),
        user="ops",
        writable=[Path("/srv/odd dir")],
        environment={"ODD": HOSTILE},
        prelude=[["/nowhere/absent"], ["/bin/false"]],
    )
    text = unitfile.text(
        owner, "s", Unit(("/usr/bin/python3", "-c", script, report, HOSTILE, "", ";", "$$"), 5)
    )
    host.exec(["tee", "/etc/systemd/system/odd.service"], stdin=text, check=True)
    host.exec(["systemctl", "daemon-reload"], check=True)
    host.exec(["systemctl", "start", "odd"], check=True)
    found = eventually(lambda: host.exec(["cat", report]).stdout, what="the service speaks")
    host.exec(["systemctl", "stop", "odd"], check=True)
    assert json.loads(found) == [[HOSTILE, "", ";", "$$"], HOSTILE, "/srv/odd dir"]
    complaints = host.exec(["systemd-analyze", "verify", "/etc/systemd/system/odd.service"]).stderr
    assert "odd.service" not in complaints
    host.exec(["rm", "-r", "/etc/systemd/system/odd.service", "/srv/odd dir"], check=True)


def test_the_journal_keeps_every_line_of_a_busy_service(host: Host) -> None:
    """700 requests a second are thousands of lines; left alone journald keeps 60,000 in 30 s at most."""
    lines = 100_000
    script = f"import time\nfor n in range({lines}): print('request', n)\nprint(flush=True); time.sleep(900)"
    owner = unitfile.Owner("busy", "n", Path("/srv"), "ops", [Path("/srv")], {})
    text = unitfile.text(owner, "s", Unit(("/usr/bin/python3", "-c", script), 5))
    host.exec(["tee", "/etc/systemd/system/busy.service"], stdin=text, check=True)
    host.exec(["systemctl", "daemon-reload"], check=True)
    host.exec(["systemctl", "start", "busy"], check=True)
    last = ["journalctl", "--unit=busy", "--output=cat", "--lines=1"]
    try:
        eventually(lambda: f"request {lines - 1}" in host.exec(last).stdout, what="it is written", seconds=60)
        count = host.exec(["sh", "-c", "journalctl --unit=busy --output=cat | grep -c ^request"]).stdout
        assert int(count) == lines
    finally:
        host.exec(["systemctl", "stop", "busy"], check=True)
        host.exec(["rm", "/etc/systemd/system/busy.service"], check=True)


def test_a_host_without_a_fitting_python_is_told_what_to_install(node: HostNode) -> None:
    hide = "mount -t tmpfs none /usr/local/bin; for p in /usr/bin/python3*; do mount -B /bin/false $p; done"
    run = f"{hide}; exec /opt/dynamo-multinode/r1/nodectl/run mocker status --root {node.root}"
    refusal = node.host.exec(["unshare", "--mount", "sh", "-c", run])
    assert refusal.returncode == 2
    assert refusal.stderr == (
        "nodectl: this host has no Python 3.11 to 3.13: install one, such as the package python3.11\n"
    )


@pytest.mark.parametrize("mode", ["755", "700"])
def test_what_is_checked_for_services_is_checked_where_they_run(
    host: Host, node: HostNode, mode: str
) -> None:
    """Root reads all of it, and installs; each service has a /tmp of its own, and is another user."""
    for folder in ("/tmp/model", "/var/tmp/model", "/srv/closed/model"):
        host.exec(["mkdir", "-p", folder], check=True)
        host.exec(["touch", f"{folder}/config.json"], check=True)
        host.exec(["chmod", mode, "/srv/closed"])
        model = ModelSource(kind="path", name=folder)
        ran = node.run("install", stdin=codec.encode(spec(model=model)))
        hidden = "tmp" in folder or mode == "700"
        assert ran.returncode == (1 if hidden else 0), ran.stderr
        assert not hidden or f"{folder}/config.json: services cannot read it, since " in ran.stderr
    golden = PreinstalledEngine(path="/tmp/golden")
    host.exec(["mkdir", "-p", "/tmp/golden/bin"], check=True)
    host.exec(["ln", "-sf", "/usr/bin/python3", "/tmp/golden/bin/python"], check=True)
    ran = node.run("install", stdin=codec.encode(spec(engine=golden, model=None)))
    assert "/tmp/golden/bin/python: services cannot read it" in ran.stderr


def test_an_environment_that_is_not_there_is_named(node: HostNode) -> None:
    command = ["/opt/dynamo-multinode/r1/nodectl/run", "gpu", "status", "--root", node.root]
    refusal = node.host.exec(command)
    assert refusal.returncode == 1
    assert "/var/cache/dynamo-multinode/env/gpu-py3" in refusal.stderr
    assert "`nodectl install` makes it" in refusal.stderr


def test_a_port_that_another_stacks_leftovers_hold_is_told_with_what_removes_them(node: HostNode) -> None:
    left = HostNode(node.host, stack="left")
    left.put_release()
    assert left.done("apply", stdin=deployment(left))["started"]
    assert eventually(left.ready, what="the other stack serves")
    refusal = node.run("apply", stdin=deployment(node))
    assert refusal.returncode == 1
    assert "is taken by dynamo.left.node-1.aggregated-0.service" in refusal.stderr
    remove = refusal.stderr.split("run `sudo ")[1].split("`")[0].split()
    node.host.exec(remove, check=True, seconds=120)
    node.put_release()  # it went with the host's last node
    assert node.done("apply", stdin=deployment(node))["started"]
    assert serving(node)
