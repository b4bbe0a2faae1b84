"""nodectl's command line: what it refuses, and how it says so."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodectl.__main__ import VERBS, main

PROJECT = Path(__file__).parents[3]


@pytest.mark.parametrize("argv", [[], ["destroy"]])
def test_without_a_known_verb_all_verbs_are_named(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    printed = capsys.readouterr().err
    assert all(verb in printed for verb in VERBS)


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"install"}))
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert f"nodectl {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["install", "wait"])
def test_what_runs_without_packages_needs_none(verb: str, tmp_path: Path) -> None:
    """`install` runs before there is an environment, `wait` before every start of every service."""
    options = ["--root", str(tmp_path), "--service", "absent"] if verb == "wait" else []
    ran = subprocess.run(
        [sys.executable, "-S", "-m", "nodectl", verb, *options],
        cwd=PROJECT,
        env={},
        input="{}",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    assert ran.returncode in (1, 2)


@pytest.mark.parametrize(
    "text",
    ['{"A B": "planted"}', '{"A": 1}', '{"A": ""}', '{"A": "planted\\u0000"}', '["planted"]', "planted", ""],
)
def test_secrets_that_cannot_be_are_refused_without_repeating_them(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    root = tmp_path / "node"
    assert main(["secrets", "--root", str(root)]) == 2
    assert "planted" not in "".join(capsys.readouterr())
    assert not root.exists()


@pytest.mark.parametrize("verb", ["status", "logs"])
def test_a_folder_without_a_node_is_named(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = ["decode-0"] if verb == "logs" else []
    assert main([verb, "--root", str(tmp_path), *service]) != 0
    assert str(tmp_path) in capsys.readouterr().err


def test_nothing_that_nodectl_starts_leaves_a_core_dump() -> None:
    """Services, their supervisor on an operator's machine and installs hold tokens in memory."""
    asked = """
import subprocess, types
from nodectl import __main__ as nodectl
nodectl.importlib.import_module = lambda _: types.SimpleNamespace(
    main=lambda _: subprocess.run(["bash", "-c", "ulimit -c; ulimit -c unlimited"], check=False).returncode
)
print(nodectl.main(["status"]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", asked], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split()[0] == "0"
    assert os.geteuid() == 0 or ran.stdout.split()[1] != "0", "nor can it be raised again"
