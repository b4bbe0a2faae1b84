"""Every resource type that the stacks use is asserted by a test, and served by the stand-in."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.aws.standin.table import KINDS

HERE = Path(__file__).parent
COMPONENTS = HERE.parents[1] / "components/aws"
OF_THE_STANDIN = "test_standin"
"""Tests that assert what the stand-in does say nothing of what the program creates."""


def created() -> set[str]:
    """Return the classes of Pulumi's AWS SDK that components make, as `module.Class`."""
    found: set[str] = set()
    for path in COMPONENTS.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "pulumi_aws"
            for alias in node.names
        }
        found |= {
            f"{node.value.id}.{node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            if node.value.id in modules and node.attr[0].isupper()
        }
    return found


def asserted() -> Iterator[str]:
    """Yield every text in a test of the program that asserts something."""
    for path in HERE.glob("test_*.py"):
        if path.name.startswith(OF_THE_STANDIN) or path == Path(__file__):
            continue
        for test in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
                nodes = list(ast.walk(test))
                if any(isinstance(node, ast.Assert) for node in nodes):
                    yield from (str(n.value) for n in nodes if isinstance(n, ast.Constant))


def test_every_type_that_the_stacks_use_is_asserted() -> None:
    names = {name.partition(".")[2] for name in created()}
    assert {"Vpc", "Instance"} <= names
    assert names - set(asserted()) == set()


def test_every_type_that_the_stacks_use_is_served_by_the_stand_in() -> None:
    served = {f"{token.partition('/')[0].split(':')[1]}.{token.rpartition(':')[2]}" for token in KINDS}
    assert created() - served == set()
