"""Every Python that nodectl starts is started so that a file of some folder hides no module from it."""

import ast
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodectl.__main__ import VERBS, module
from nodectl.common import isolated
from nodectl.common.layout import Layout
from nodectl.contract.runtime import ModelSource
from nodectl.runtime import models
from nodectl.runtime.container import Container
from nodectl.supervisors import launch
from tests.hub_server import Hub, serving

PROJECT = Path(__file__).parents[3]
PACKAGES = sorted({path.name for path in PROJECT.iterdir() if (path / "__init__.py").exists()})


def test_no_module_that_can_come_first_on_the_path_is_named_like_one_of_the_standard_library() -> None:
    ours = [path.stem for path in (PROJECT / "nodectl").rglob("*.py")]
    assert PACKAGES
    assert not set(sys.stdlib_module_names).intersection([*ours, *PACKAGES]) - {"__init__", "__main__"}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_its_module(verb: str) -> None:
    assert PROJECT.joinpath(*module(verb).split(".")).with_suffix(".py").is_file() or (
        PROJECT.joinpath(*module(verb).split("."), "__init__.py").is_file()
    )


def commands(path: Path) -> Iterator[list[str]]:
    """Yield the constant arguments of commands with `-m` or `-c`, each time."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.List | ast.Tuple):
            first = node.elts[0] if node.elts else None
            if isinstance(first, ast.Constant):  # a program by its name: none of them is a Python
                continue
            values = [element.value for element in node.elts if isinstance(element, ast.Constant)]
            constants = [value for value in values if isinstance(value, str)]
            if "-m" in constants or "-c" in constants:
                yield constants


ELSEWHERE = {
    "isolated.py": 2,
    "argv.py": 1,  # a service: `launch` adds the environment
    "container.py": 1,  # in an image, whose PYTHONPATH counts: the environment in its options
    "lifetime.py": 1,  # shutdown -c
    "report.py": 1,  # printed, to be typed in the project's folder
}


def test_nothing_else_in_nodectl_starts_a_python() -> None:
    found = {path.name: len(list(commands(path))) for path in (PROJECT / "nodectl").rglob("*.py")}
    assert {name: count for name, count in found.items() if count} == ELSEWHERE


@pytest.fixture
def traps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder in which every module of the standard library that packages import is another."""
    for name in ("secrets", "random", "hashlib", "socket", "json"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('the wrong module')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        isolated.code(sys.executable, "import secrets, json"),
        isolated.module(sys.executable, "json.tool", "--help"),
    ],
)
def test_a_file_in_the_current_folder_hides_no_module(command: list[str], traps: Path) -> None:
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "the wrong module" not in completed.stderr
    assert completed.returncode == 0, completed.stderr


def started(inside: Container | None = None) -> launch.Launch:
    return launch.Launch([sys.executable, "-m", "secrets"], {}, [], [], 1, None, container=inside)


def test_a_file_in_a_nodes_data_hides_no_module_from_its_services(traps: Path) -> None:
    one = started()
    env = launch.environment(one, Layout.at(traps), {"PATH": os.defpath})
    completed = subprocess.run(launch.command(one), env=env, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr


def test_a_file_in_an_images_folder_hides_no_module_from_its_services() -> None:
    inside = Container(program="podman", options=["--rm"], image="dynamo:1", name="x")
    assert "--env=PYTHONSAFEPATH=1" in launch.command(started(inside))


def test_a_model_of_the_hub_is_downloaded_by_the_hubs_own_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 4096}
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    model = ModelSource(kind="hub", name="organisation/model")
    with serving(Hub({"organisation/model": files})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        (tmp_path / "models").mkdir()
        folder, cached = models.ensure(
            model, tmp_path / "models", Path(sys.executable), {}, time.monotonic() + 60
        )
        again = models.ensure(model, tmp_path / "models", Path(sys.executable), {}, time.monotonic() + 60)
    assert not cached
    assert again == (folder, True)
    assert {path.name: path.read_bytes() for path in Path(folder).iterdir()} == files


def test_of_gguf_weights_the_quantisation_that_is_asked_for_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"model-{quant}.gguf": quant.encode() for quant in ("Q4_K_M", "Q8_0")} | {"config.json": b"{}"}
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    model = ModelSource(kind="hub", name="organisation/model-GGUF:Q4_K_M")
    with serving(Hub({"organisation/model-GGUF": files})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        (tmp_path / "models").mkdir()
        folder, _ = models.ensure(model, tmp_path / "models", Path(sys.executable), {}, time.monotonic() + 60)
    assert {path.name for path in Path(folder).iterdir()} == {"config.json", "model-Q4_K_M.gguf"}
