"""Machines that lost what the last `up` put there are told by an exit code, and set up again."""

import sys
from pathlib import Path
from typing import Any

import pytest

from nodectl.common.errors import NothingAppliedError
from operations import nodes
from tests.unit.operations.deployed import deployed

SENTENCE = "no manifest was applied here"


def node(folder: Path, name: str, code: int) -> list[dict[str, Any]]:
    """Return what set a node up, in the state; asked for its status, its host ends with this code."""
    script = folder / f"{name}.py"
    script.write_text(
        "import pathlib, sys\n"
        "if 'status' in sys.argv:\n"
        f"    print('{SENTENCE}', file=sys.stderr)\n"
        f"    sys.exit({code})\n"
        "pathlib.Path(__file__).with_suffix('.set-up').touch()\n"
    )
    return deployed(name, [sys.executable, str(script)])


def test_a_node_is_set_up_again_if_its_host_says_by_its_exit_code_that_nothing_was_applied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = {"new": NothingAppliedError.code, "runs": 0, "fails": 1, "away": 255}
    made = [resource for name, code in codes.items() for resource in node(tmp_path, name, code)]
    assert nodes.repair({"deployment": {"resources": made}}) == 0
    assert [path.stem for path in tmp_path.glob("*.set-up")] == ["new"]
    assert "repairing  new: " in capsys.readouterr().err
