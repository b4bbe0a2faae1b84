"""Secrets reach the services that name them, and nothing else on the machine."""

import psutil
import pytest

from tests.engine.nodectl.node import Node
from tests.waiting import eventually

PLANTED = "planted-%(here)s $HOME 'quoted' ü\r\n second line"


def test_a_secret_is_in_its_file_and_its_services_and_nowhere_else(node: Node) -> None:
    printed = [node.run("secrets", stdin={"TOKEN": PLANTED})]
    manifest = node.manifest(user=node.fake("user", secrets=["TOKEN"]), other=node.fake("other"))
    printed += [node.run("apply", stdin=manifest), node.run("status"), node.run("logs", "user")]
    assert node.report("user")["env"]["TOKEN"] == PLANTED
    assert "TOKEN" not in node.report("other")["env"]
    assert not [run for run in printed if "planted" in run.stdout + run.stderr]
    holding = [p for p in node.root.rglob("*") if p.is_file() and b"planted" in p.read_bytes()]
    assert holding == [node.layout.secret("TOKEN")]
    assert holding[0].stat().st_mode & 0o777 == 0o600
    assert holding[0].parent.stat().st_mode & 0o777 == 0o700
    assert not [p for p in psutil.process_iter(["cmdline"]) if "planted" in " ".join(p.info["cmdline"] or [])]


def test_a_changed_secret_restarts_the_services_that_use_it_alone(node: Node) -> None:
    node.done("secrets", stdin={"A": "1", "B": "1"})
    node.apply(a=node.fake("a", secrets=["A"]), b=node.fake("b", secrets=["B"]))
    b = node.report("b")["pid"]
    assert node.report("a")["env"]["A"] == "1"
    assert node.done("secrets", stdin={"A": "2", "B": "1"})["restarted"] == ["a"]
    assert node.report("a")["env"]["A"] == "2"
    assert node.done("secrets", stdin={"A": "2", "B": "1"})["restarted"] == []
    assert node.report("b")["pid"] == b


@pytest.mark.parametrize("verb", ["secrets", "forget"])
def test_a_secret_that_left_is_removed(node: Node, verb: str) -> None:
    node.done("secrets", stdin={"A": "1"})
    node.apply(one=node.fake("one"))
    node.done(verb, stdin={})
    assert not list(node.layout.secrets.iterdir())


def test_a_service_says_which_secret_it_lacks_and_starts_once_it_is_there(node: Node) -> None:
    node.apply(one=node.fake("one", secrets=["TOKEN"]))
    eventually(lambda: "secret TOKEN is not on this node" in node.log("one"), what="the log names the secret")
    assert node.done("secrets", stdin={"TOKEN": "1"})["restarted"] == ["one"]
    assert node.report("one")["env"]["TOKEN"] == "1"
