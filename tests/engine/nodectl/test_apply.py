from tests.engine.nodectl.node import Node


def test_a_second_apply_changes_nothing(node: Node) -> None:
    services = {"one": node.fake("one"), "two": node.fake("two")}
    assert node.apply(**services) == {
        "started": ["one", "two"],
        "restarted": [],
        "removed": [],
        "unchanged": [],
    }
    pid = node.report("one")["pid"]
    assert node.apply(**services) == {
        "started": [],
        "restarted": [],
        "removed": [],
        "unchanged": ["one", "two"],
    }
    assert node.report("one")["pid"] == pid
