"""The Markdown of a preview, and that the workflows give nobody more than they need."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.markdown import ROWS, markdown, read

GITHUB = Path(__file__).parents[3] / ".github"
FILES = sorted([*GITHUB.glob("workflows/*.yaml"), *GITHUB.glob("actions/*/action.yaml")])
URN = "urn:pulumi:disagg::dynamo::dynamo:aws:Fleet$dynamo:aws:Machine${kind}::{name}"
INSTANCE = "aws:ec2/instance:Instance"


def step(op: str, name: str = "node-1", kind: str = INSTANCE, **more: Any) -> dict[str, Any]:
    urn = URN.format(kind=kind, name=name)
    return {"op": op, "urn": urn, "type": kind, "new": {"custom": True}, **more}


def note(text: str, severity: str, **more: Any) -> dict[str, Any]:
    return {"diagnosticEvent": {"message": text, "severity": severity, **more}}


def printed(*steps: Mapping[str, Any], notes: Mapping[str, str] | None = None) -> str:
    events = [{"resourcePreEvent": {"metadata": one}} for one in steps]
    events += [note(text, severity) for text, severity in (notes or {}).items()]
    return "\n".join(json.dumps({"sequence": i, **event}) for i, event in enumerate(events))


def section(*steps: Mapping[str, Any], notes: Mapping[str, str] | None = None, failed: bool = False) -> str:
    return markdown("disagg", "plan  …", read(printed(*steps, notes=notes), "", failed=failed))


def test_a_replacement_is_one_change_and_stands_first() -> None:
    said = section(
        step("create", "eip", "aws:ec2/eip:Eip"),
        step("create-replacement", diffs=["launchTemplate"]),
        step("replace", diffs=["launchTemplate"]),
        step("delete-replaced"),
        step("same", "vpc"),
    )
    assert "### `disagg`: 1 to replace, 1 to create" in said
    assert "| replace | `node-1` | `Instance` | `launchTemplate` |" in said
    assert said.index("| replace |") < said.index("| create |")
    assert "vpc" not in said


def test_components_are_no_changes() -> None:
    component = step("create", new={"custom": False})
    assert "no changes" in section(component)


def test_what_restarts_is_said_apart_from_the_plan() -> None:
    said = section(step("update"), notes={"plan  …\n": "info", "restarts   node-2/decode-0: flags\n": "info"})
    assert said.count("plan  …") == 1
    assert said.index("restarts   node-2/decode-0") < said.index("<summary>Plan</summary>")


def test_a_refusal_is_the_first_thing_to_read() -> None:
    said = section(notes={"node-2: lets IMDSv1 answer": "error"}, failed=True)
    assert said.splitlines()[0] == "### `disagg`: would not be brought up"
    assert said.index("IMDSv1") < said.index("Plan")


def test_a_failure_without_a_report_shows_what_the_cli_said() -> None:
    preview = read("", "\x1b[31merror: no such bucket\x1b[0m", failed=True)
    assert preview.wrong == ("error: no such bucket",)
    assert read("", "", failed=True).wrong


def test_values_of_properties_are_not_in_it() -> None:
    shown = {"custom": True, "inputs": {"stdin": "hush"}, "outputs": {"stdout": "hush"}}
    said = section(step("update", diffs=["stdin"], new=shown, old=shown, detailedDiff={"stdin": {}}))
    assert "`stdin`" in said
    assert "hush" not in said


def test_what_was_shown_for_a_moment_or_for_debugging_is_left_out() -> None:
    events = [note("progress", "info", ephemeral=True), note("registering", "debug")]
    preview = read("\n".join(map(json.dumps, events)), "", failed=False)
    assert preview.said == ()


def test_a_policy_that_refuses_is_named() -> None:
    refused = {"policyEvent": {"policyName": "imds-v2", "message": "…\nnode-2: lets IMDSv1 answer"}}
    preview = read(json.dumps(refused), "error: preview failed", failed=True)
    assert preview.wrong == ("imds-v2: …\nnode-2: lets IMDSv1 answer",)


@pytest.mark.parametrize("name", ["a`b", "a|b", "<img src=x>", "a\n## b"])
def test_a_name_cannot_become_markdown(name: str) -> None:
    (row,) = (line for line in section(step("create", name)).splitlines() if line.startswith("| create"))
    assert row.count("|") == 5
    assert row.count("`") == 4
    assert "<" not in row


def test_a_text_cannot_leave_its_fence() -> None:
    plan = "````\n@everybody\n````"
    lines = markdown("disagg", plan, None).splitlines()
    fence = next(line for line in lines if line.endswith("text"))
    assert fence == "`````text"
    assert lines.index("@everybody") < len(lines) - 1 - lines[::-1].index("`````")


def test_a_large_change_fits_into_a_comment() -> None:
    steps = [step("create", f"n{i}" * 20, diffs=[f"p{j}" for j in range(50)]) for i in range(2000)]
    said = section(*steps, notes={"x" * 100_000: "info"})
    assert f"| … | {2000 - ROWS} more |" in said
    assert len(said) < 65_536


def runs(path: Path) -> Iterator[str]:
    """Yield every script in a workflow or an action."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    jobs = document.get("jobs", {}).values() if "jobs" in document else [document["runs"]]
    yield from (one["run"] for job in jobs for one in job["steps"] if "run" in one)


def test_the_workflows_are_there() -> None:
    assert {path.name for path in FILES} == {"stacks.yaml", "action.yaml"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_script_of_a_workflow_is_put_together_from_expressions(path: Path) -> None:
    scripts = list(runs(path))
    assert scripts
    assert not [script for script in scripts if "${{" in script]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_a_commit_whose_version_is_said(path: Path) -> None:
    used = re.findall(r"uses: (.+)", path.read_text(encoding="utf-8"))
    assert used
    assert not [one for one in used if not re.search(r"^\./|@[0-9a-f]{40} # v\d+\.\d+\.\d+$", one)]


def test_jobs_may_do_only_what_they_need() -> None:
    workflow = yaml.safe_load((GITHUB / "workflows/stacks.yaml").read_text(encoding="utf-8"))
    jobs = workflow["jobs"]
    assert workflow["permissions"] == {}
    aws = {"contents": "read", "id-token": "write"}
    assert {name: job["permissions"] for name, job in jobs.items()} == {
        "preview": aws,
        "comment": {"pull-requests": "write"},
        "up": aws,
        "drift": aws,
    }
    # what may write to the pull request does not run its code
    assert not [one for one in jobs["comment"]["steps"] if "checkout" in one.get("uses", "")]
    assert "head.repo.full_name == github.repository" in jobs["preview"]["if"]
    assert jobs["up"]["environment"] == "production"
    assert jobs["up"]["concurrency"] == jobs["drift"]["concurrency"]
    assert jobs["up"]["concurrency"]["cancel-in-progress"] is False
    roles = {
        name: one["with"]["role-to-assume"]
        for name, job in jobs.items()
        for one in job["steps"]
        if "aws-actions" in one.get("uses", "")
    }
    assert "DEPLOY" in roles.pop("up")
    assert all("PREVIEW" in role for role in roles.values())
