"""Imports go down only, between layers and inside nodectl; what runs on bare Python needs no package."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodectl.__main__ import module
from nodectl.enter import BARE

PROJECT = Path(__file__).parents[3]

ALLOWED = {
    "nodectl": {"nodectl"},
    "settings": {
        "settings",
        "nodectl.common.commandline",
        "nodectl.common.files",
        "nodectl.common.redaction",
        "remote.destination",
    },
    "planning": {
        "planning",
        "settings",
        "nodectl.common.commandline",
        "nodectl.host.deadline",
        *(f"nodectl.contract.{name}" for name in ("codec", "firewall", "manifest", "probe", "proof")),
        *(f"nodectl.contract.{name}" for name in ("runtime", "tokens")),
        "nodectl.common.redaction",
        "nodectl.versions",
    },
    "remote": {"remote", "nodectl.common.commandline", "nodectl.common.redaction", "nodectl.common.waiting"},
    "account": {
        "account",
        "planning",
        "settings",
        "nodectl.common.commandline",
        "nodectl.common.redaction",
        "nodectl.common.waiting",
    },
    "components": {"components", "planning", "settings", "nodectl", "remote"},
    "program": {"program", "account", "components", "planning", "settings", "nodectl", "remote"},
    "policy": {"policy"},
    "operations": {
        "operations",
        "account",
        "components.tokens",
        "program.backend",
        "planning",
        "settings",
        "nodectl",
        "remote",
        "tools",
    },
    "tools": {"tools", "account", "program.backend", "planning", "settings", "nodectl"},
}
"""Layer -> what of this project it may import."""

NO_PULUMI = {"nodectl", "settings", "planning", "remote", "account"}


def imports(folder: str) -> Iterator[tuple[Path, str]]:
    """Yield every file of a layer with each module that it imports, wherever in the file."""
    for path in sorted((PROJECT / folder).rglob("*.py")):
        yield from in_file(path)


def in_file(path: Path) -> Iterator[tuple[Path, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((path, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((path, f"{node.module}.{alias.name}") for alias in node.names)


def imports_beside(layer: str, package: str, below: set[str]) -> list[str]:
    """Return what a package of a layer imports of it that is neither its own nor in `below`."""
    allowed = {f"{layer}.{name}" for name in (package, *below)}
    return [
        f"{path.relative_to(PROJECT)} imports {name}"
        for path, name in imports(f"{layer}/{package}")
        if within(name, {layer}) and not within(name, allowed)
    ]


def within(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("layer", ALLOWED)
def test_a_layer_imports_only_what_lies_below_it(layer: str) -> None:
    found = list(imports(layer))
    assert found
    wrong = [
        f"{path.relative_to(PROJECT)} imports {module}"
        for path, module in found
        if within(module, set(ALLOWED) | {"plugins", "tests"}) and not within(module, ALLOWED[layer])
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
    script = "import operations.verbs.plan, sys; print([m for m in sys.modules if m.startswith('pulumi')])"
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


INSIDE = {
    "common": set(),
    "versions": set(),
    "contract": {"common", "versions"},
    "dynamo": {"common", "contract"},
    "etcd": {"common", "contract"},
    "runtime": {"common", "contract", "versions"},
    "supervisors": {"common", "contract", "runtime"},
    "host": {"common", "contract", "etcd", "supervisors"},
    "services": {"common", "contract", "host", "runtime", "supervisors"},
    "proof": {"common", "contract", "dynamo", "etcd", "services"},
    "rollout": {"common", "contract", "dynamo", "etcd", "services", "supervisors"},
    "verbs": {"common", "contract", "etcd", "host", "proof", "rollout", "runtime", "services", "supervisors"}
    | {"dynamo", "versions"},
}
"""Package of nodectl -> the others that it may import. The files at nodectl's top may import all."""


def test_the_packages_of_nodectl_need_each_other_in_one_direction() -> None:
    folders = {path.parent.name for path in (PROJECT / "nodectl").glob("*/__init__.py")}
    assert folders == set(INSIDE)
    order = list(INSIDE)
    assert all(order.index(needed) < order.index(package) for package in order for needed in INSIDE[package])


@pytest.mark.parametrize("package", INSIDE)
def test_a_package_of_nodectl_imports_only_what_lies_below_it(package: str) -> None:
    assert imports_beside("nodectl", package, INSIDE[package]) == []


PLANNING = {
    "network": {"roles", "values"},
    "aws": {"network", "roles", "text", "values"},
    "placement": {"values"},
    "commands": {"aws", "network", "roles", "text", "values"},
    "nodes": {"aws", "commands", "network", "roles", "text", "values"},
    "sizing": {"aws", "placement", "roles", "text", "values"},
    "targets": {"aws", "network", "placement", "sizing", "text", "values"},
    "changes": {"nodes", "roles", "text", "values"},
}
"""Package of planning -> the others, and the files at its top, that it may import."""


@pytest.mark.parametrize("package", PLANNING)
def test_a_package_of_planning_imports_only_what_lies_below_it(package: str) -> None:
    order = list(PLANNING)
    assert {path.parent.name for path in (PROJECT / "planning").glob("*/__init__.py")} == set(order)
    below = PLANNING[package].intersection(order)
    assert all(order.index(name) < order.index(package) for name in below)
    assert imports_beside("planning", package, PLANNING[package]) == []


LOCAL_ONLY = {"nodectl.supervisors.supervisord"}
"""Modules that a host never imports: the supervisor of local nodes, which use the project's Python."""


def needed(name: str) -> set[str]:
    """Return every module that a module of nodectl needs, wherever it imports it, its packages too."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        file = PROJECT.joinpath(*name.split("."))
        file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        if name in found or within(name, LOCAL_ONLY):
            continue
        if not within(name, {"nodectl"}):
            found.add(name)
        elif file.is_file():
            found.add(name)
            waiting += [imported for _, imported in in_file(file)]
            waiting.append(name.rpartition(".")[0] or name)
        else:  # a name of the module before it
            waiting.append(name.rpartition(".")[0])
    return found


@pytest.mark.parametrize("start", ["nodectl.enter", *map(module, BARE)])
def test_what_runs_on_bare_python_needs_the_standard_library_alone(start: str) -> None:
    outside = {name for name in needed(start) if not within(name, {"nodectl"})}
    assert outside
    assert not {name for name in outside if name.partition(".")[0] not in sys.stdlib_module_names}


def test_what_runs_on_bare_python_starts_there() -> None:
    script = f"import nodectl.enter, {', '.join(map(module, BARE))}"
    subprocess.run([sys.executable, "-S", "-c", script], cwd=PROJECT, env={}, check=True)
