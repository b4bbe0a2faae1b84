"""Imports go down only: settings and planning know no Pulumi, and what runs on a node knows only itself."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

ALLOWED = {
    "nodectl": {"nodectl"},
    "settings": {"settings", "nodectl.manifest"},
    "planning": {"planning", "settings", "nodectl.manifest", "nodectl.probespec", "nodectl.versions"},
    "reach": {"reach"},
    "account": {"account", "planning", "settings"},
    "components": {"components", "account", "planning", "settings", "nodectl", "reach"},
    "policy": {"policy"},
}
"""Layer -> what of this project it may import."""

NO_PULUMI = {"nodectl", "settings", "planning", "reach", "account"}


def imports(folder: str) -> Iterator[tuple[Path, str]]:
    """Yield every file of a layer with each module that it imports, wherever in the file."""
    for path in sorted((PROJECT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from ((path, f"{node.module}.{alias.name}") for alias in node.names)


def within(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("layer", ALLOWED)
def test_a_layer_imports_only_what_lies_below_it(layer: str) -> None:
    found = list(imports(layer))
    assert found
    wrong = [
        f"{path.relative_to(PROJECT)} imports {module}"
        for path, module in found
        if within(module, set(ALLOWED) | {"scripts", "plugins", "tests"})
        and not within(module, ALLOWED[layer])
    ]
    assert not wrong


@pytest.mark.parametrize("layer", sorted(NO_PULUMI))
def test_only_components_and_the_program_know_pulumi(layer: str) -> None:
    assert not [
        f"{path.relative_to(PROJECT)} imports {module}"
        for path, module in imports(layer)
        if module.startswith("pulumi")
    ]


def test_printing_a_plan_loads_no_pulumi() -> None:
    script = "import planning.__main__, sys; print([m for m in sys.modules if m.startswith('pulumi')])"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout
    assert loaded.strip() == "[]"


def test_the_account_loads_boto3_only_to_ask() -> None:
    script = (
        "import account, sys; print([m for m in sys.modules if m.split('.')[0] in ('boto3', 'botocore')])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout
    assert loaded.strip() == "[]"
