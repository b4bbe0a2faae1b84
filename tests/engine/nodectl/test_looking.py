"""`nodectl status` and `nodectl logs`: what a user sees of a node."""

import json

from tests.engine.nodectl.node import Node
from tests.waiting import eventually


def test_status_tells_ready_services_from_others_and_fails_until_all_are_ready(
    node: Node, address: str
) -> None:
    endpoint = f"{address}:8000"
    ready = {"tcp": endpoint, "seconds": 5}
    server = {"module": "http.server", "flags": {"bind": address}, "stop": {"seconds": 5}}
    healthy = server | {"ready": {"http": f"http://{endpoint}/", "seconds": 5}}
    broken = server | {"ready": {"http": f"http://{endpoint}/absent", "seconds": 5}}
    node.apply(deaf=node.fake("deaf", ready=ready))
    node.report("deaf")
    assert node.run("status").returncode == 1
    node.apply(deaf=node.fake("deaf", ready=ready), server=broken)
    eventually(lambda: node.status()["deaf"].ready, what="something listens where deaf should")
    assert not node.status()["server"].ready
    node.apply(deaf=node.fake("deaf", ready=ready), server=healthy)
    eventually(lambda: node.status()["server"].ready, what="the server answers 200")
    seen = node.run("status")
    assert seen.returncode == 0
    assert json.loads(seen.stdout)["services"]["server"]["pid"] == node.status()["server"].pid
    assert "server  ready" in node.run("status", "--human").stdout


def test_status_of_a_node_whose_supervisor_is_gone_says_stopped(node: Node) -> None:
    node.apply(one=node.fake("one"))
    for process in node.processes():
        process.kill()
    eventually(lambda: not node.processes(), what="all are dead")
    seen = node.run("status")
    assert seen.returncode == 1
    assert json.loads(seen.stdout)["services"]["one"]["state"] == "stopped"


def test_logs_prints_the_last_lines_and_names_the_services_that_there_are(node: Node) -> None:
    node.apply(one=node.fake("one"), two=node.fake("two"))
    node.report("one")
    eventually(lambda: node.log("one"), what="one printed something")
    assert node.run("logs", "one", "-n", "1").stdout == "fake service starts\n"
    refusal = node.run("logs", "three")
    assert refusal.returncode == 2
    assert "one, two" in refusal.stderr
