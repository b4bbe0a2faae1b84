"""Output of a proof, and the files that it leaves for diagnosis after a failure."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from nodectl.__main__ import main as nodectl
from nodectl.contract.proof import Check, ProofResult
from nodectl.proof.report import explain, render
from tests.proof_specs import spec, worker


def result(*checks: Check) -> ProofResult:
    return ProofResult(
        ok=checks[-1].ok, provedAt="2026-11-23T12:00:00+00:00", digest="d", seconds=1.94, checks=list(checks)
    )


NATS = Check(name="nats", ok=True, seconds=0.012, seen="JetStream answers, 1 ms")
REGISTRY = Check(name="registry", ok=False, seconds=30.02, seen="1 of 2 aggregated workers")


def test_the_table_has_a_line_a_check_with_its_duration() -> None:
    assert render(result(NATS, REGISTRY)).splitlines() == [
        "proof      2 checks, 1.9 s",
        "  ok    nats        0.0 s  JetStream answers, 1 ms",
        "  FAIL  registry   30.0 s  1 of 2 aggregated workers",
    ]


def test_a_failure_shows_the_last_lines_of_the_service_to_blame_and_how_to_see_more(tmp_path: Path) -> None:
    log = tmp_path / "node 2" / "logs" / "decode-1.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"line {n}\n" for n in range(100)), encoding="utf-8")
    roots = {"node-1": str(tmp_path / "node 1"), "node-2": str(tmp_path / "node 2")}
    first, *rest = explain(
        spec("127.0.0.1", node_roots=roots), result(NATS, REGISTRY), ["decode-1"]
    ).splitlines()
    assert first == "proof failed at registry after 30.0 s: 1 of 2 aggregated workers"
    assert rest[0] == "  last lines of decode-1 on node-2:"
    assert [line.strip() for line in rest[1:-1]] == [f"line {n}" for n in range(88, 100)]
    assert rest[-1].endswith(f"-m nodectl logs decode-1 --root '{tmp_path}/node 2'")


def test_a_log_that_is_on_another_machine_comes_with_the_command_that_shows_it() -> None:
    engine = replace(worker("decode-0", 1, "10.0.0.1"), headless={"decode-0-rank-1": "gpu-2"})
    found = spec("10.0.0.1", stack="gpus", instances=[engine])
    assert explain(found, result(REGISTRY), ["decode-0-rank-1"]).splitlines()[1:] == [
        "  more: scripts/node gpus gpu-2 logs decode-0-rank-1"
    ]


def test_a_log_that_is_on_another_machine_is_named() -> None:
    assert explain(spec("127.0.0.1"), result(REGISTRY), ["decode-1"]).splitlines()[1:] == [
        "  more: the log of decode-1, on its node"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected a proof spec as JSON"),
        ('{"schema": 2, "token": "hunter2"}', "token: unknown key"),
        ("[1]", "standard input is not a proof spec"),
    ],
)
def test_bad_input_is_told_in_words_and_never_repeated(
    text: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert nodectl(["proof"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert told in printed.err
    assert "hunter2" not in printed.err
