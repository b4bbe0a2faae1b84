"""`nodectl remove` takes all away that nodectl brought, and nothing of a successor."""

from pathlib import Path

import pytest

from tests.engine.nodectl.node import Node


def test_nothing_is_left_of_a_removed_node_and_its_stack(node: Node, tmp_path: Path) -> None:
    node.done("secrets", stdin={"TOKEN": "value"})
    node.apply(one=node.fake("one", secrets=["TOKEN"]))
    node.report("one")
    assert node.done("remove", "--identity", node.identity) == {"removed": True}
    assert not node.processes()
    assert not (tmp_path / ".run").exists()


def test_other_nodes_and_stacks_keep_their_folders(node: Node) -> None:
    node.apply()
    neighbour = node.root.with_name("node-2")
    neighbour.mkdir()
    node.done("remove")
    assert neighbour.exists()
    neighbour.rmdir()


def test_a_successor_is_left_alone(node: Node) -> None:
    """Pulumi runs the old node's delete after the new one's create."""
    node.apply(one=node.fake("one"))
    pid = node.report("one")["pid"]
    assert node.done("remove", "--identity", "predecessor") == {"removed": False}
    assert node.done("forget", "--identity", "predecessor") == {"forgotten": False}
    assert node.report("one")["pid"] == pid


@pytest.mark.parametrize("half", ["nothing", "folder", "secrets", "removed"])
@pytest.mark.parametrize("verb", ["remove", "forget"])
def test_whatever_little_is_there_of_a_node_goes(node: Node, tmp_path: Path, half: str, verb: str) -> None:
    if half == "folder":
        node.root.mkdir(parents=True)
    if half in ("secrets", "removed"):
        node.done("secrets", stdin={"TOKEN": "value"})
    if half == "removed":
        node.done("remove")
    node.done(verb, "--identity", "any")
    node.done(verb, "--identity", "any")
    assert not (tmp_path / ".run").exists()


def test_services_that_do_not_stop_do_not_keep_a_node_from_being_removed(node: Node) -> None:
    node.apply(one=node.fake("one", flags={"linger": 100, "child": True}, stop={"seconds": 1}))
    node.report("one")
    assert node.done("remove") == {"removed": True}
    assert not node.processes()


def test_apply_begins_anew_in_the_folder_that_a_remove_takes_away(node: Node) -> None:
    node.apply(one=node.fake("one", flags={"linger": 2}))
    node.report("one")
    removing = node.start("remove")
    applied = node.apply(two=node.fake("two"))
    removing.communicate(timeout=60)
    if applied["removed"]:  # apply came first: there is nothing left to look at
        assert not node.root.exists()
    else:
        node.report("two")
        assert "one" not in node.status()


@pytest.mark.parametrize("verb", ["apply", "secrets", "forget", "remove"])
def test_a_folder_that_holds_something_else_is_left_as_it_is(tmp_path: Path, cache: Path, verb: str) -> None:
    letters = tmp_path / "letters" / "dear.txt"
    letters.parent.mkdir()
    letters.touch()
    node = Node(letters.parent, cache)
    refusal = node.run(verb, stdin=node.manifest() if verb == "apply" else {})
    assert refusal.returncode == 2
    assert f"--root: {letters.parent} holds something else" in refusal.stderr
    assert list(letters.parent.iterdir()) == [letters]
