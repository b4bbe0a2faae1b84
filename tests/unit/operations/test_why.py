"""Logs of services that are not ready: on a node, and after a failed `up` on all other machines."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nodectl.common.layout import Layout
from nodectl.contract import codec
from nodectl.verbs import status
from operations import nodes
from planning import manifests, plan
from settings.loader import read_stack_file
from tests.unit.operations.deployed import deployed

PROJECT = Path(__file__).parents[3]

NODE = """
import sys
assert sys.argv[1:] == ["status", "--root", "/r", "--why"], sys.argv
print({out!r})
print({err!r}, file=sys.stderr)
sys.exit(1)
"""


def test_a_node_says_what_the_logs_of_its_failing_services_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = plan(read_stack_file(PROJECT / "stacks" / "Pulumi.local.yaml"))
    manifest = manifests(planned, {node.name: "127.254.7.9" for node in planned.nodes})["node-2"]
    layout = Layout.at(tmp_path)
    layout.make()
    layout.manifest.write_text(codec.written(manifest))
    layout.log("aggregated-1").write_text("INFO a\nERROR no tokenizer\n" + "INFO http response sent\n" * 99)
    assert status.main(["--root", str(tmp_path), "--why"]) == 1
    printed = capsys.readouterr()
    assert list(json.loads(printed.out)["services"]) == ["aggregated-1"]
    assert "    ERROR no tokenizer" in printed.err.splitlines()
    assert "http response" not in printed.err
    assert status.main(["--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err == ""


def exported(folder: Path, **said: tuple[str, str]) -> dict[str, object]:
    """Return the state of a stack whose nodes answer with these texts on standard output and error."""
    resources: list[dict[str, Any]] = []
    for name, (out, err) in said.items():
        script = folder / f"{name}.py"
        script.write_text(NODE.format(out=out, err=err))
        resources += deployed(name, [sys.executable, str(script)])
    return {"deployment": {"resources": resources}}


def test_after_a_failed_up_every_other_machine_is_asked(tmp_path: Path) -> None:
    state = exported(
        tmp_path,
        gpu1=("{}", "  last lines of decode-0:\n    ERROR x"),
        gpu2=("{}", ""),
        gpu3=("", "no route"),
    )
    assert nodes.failing_logs(state) == ["gpu1:\n  last lines of decode-0:\n    ERROR x"]
