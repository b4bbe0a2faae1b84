"""The README's promises: one command up, one command down, nothing left behind."""

import re
import subprocess

import httpx
import pytest

from tests.engine.deployment.checkout import Checkout, answers, complete, listening

STACKS = ["local", "local-disagg"]
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")


@pytest.fixture(scope="module", autouse=True)
def committed(checkout: Checkout) -> None:
    """The checkout is as somebody has it who cloned it."""
    for command in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "as shipped")):
        checkout.run(*GIT, *command)


@pytest.mark.parametrize("stack", STACKS)
def test_one_command_brings_up_a_proven_deployment_and_one_takes_it_down(
    checkout: Checkout, stack: str
) -> None:
    printed = checkout.run("scripts/up", stack).stdout
    assert re.search(r"^proof +\d+ checks", printed, re.MULTILINE)
    assert not re.search(r"^ +FAIL\b", printed, re.MULTILINE)
    curl = re.search(r"^try +(curl .*)$", printed, re.MULTILINE)
    assert curl
    reply = subprocess.run(["bash", "-c", curl[1]], check=True, capture_output=True, text=True).stdout
    assert '"completion_tokens":' in reply

    outputs = checkout.outputs(stack)
    assert outputs["proof"]["ok"]
    assert {check["name"] for check in outputs["proof"]["checks"]} >= {"nats", "etcd", "registry", "routing"}
    addresses = [node["address"] for node in outputs["topology"]["nodes"]]
    assert len(set(addresses)) == len(addresses) >= 2
    assert listening(addresses)

    checkout.unchanged(stack)
    before = checkout.pids(stack)
    assert "unchanged" in checkout.up(stack).stdout
    assert checkout.pids(stack) == before, "an up without changes restarts nothing"
    assert "registry" in checkout.run("scripts/prove", stack).stdout

    checkout.run("scripts/down", stack)
    assert not checkout.processes()
    assert not listening(addresses)
    with pytest.raises(httpx.ConnectError):
        complete(outputs)
    assert not (checkout.path / ".run").exists()
    assert not list((checkout.path / ".state").iterdir()), "scripts/down leaves no file"
    assert not checkout.run(*GIT, "status", "--porcelain").stdout, "shipped stack files stay clean after use"


def test_two_stacks_at_once_do_not_meet(checkout: Checkout) -> None:
    ups = [checkout.start("scripts/up", stack) for stack in STACKS]
    for up in ups:
        printed, _ = up.communicate(timeout=300)
        assert up.returncode == 0, printed
    outputs = [checkout.outputs(stack) for stack in STACKS]
    assert outputs[0]["endpoint"] != outputs[1]["endpoint"]
    assert answers(outputs[0])
    assert answers(outputs[1])
    checkout.run("scripts/down", STACKS[0])
    assert answers(outputs[1]), "taking one stack down leaves the other alone"
    checkout.run("scripts/down", STACKS[1])


@pytest.mark.parametrize("stack", ["disagg", "large"])
def test_an_aws_stack_without_its_token_is_refused_before_anything_is_created_and_rehearsed_here(
    checkout: Checkout, stack: str
) -> None:
    refusal = checkout.run("scripts/up", stack, check=False)
    assert refusal.returncode != 0
    assert "huggingFaceToken  missing: meta-llama/Llama-3.3-70B-Instruct is gated" in refusal.stderr
    assert "1 problem, nothing was created" in refusal.stderr
    assert f"`scripts/secret {stack} huggingFaceToken`" in refusal.stderr
    assert "Traceback" not in refusal.stdout + refusal.stderr
    checkout.run("scripts/rehearse", stack)
    outputs = checkout.outputs(f"rehearse-{stack}")
    assert outputs["proof"]["ok"]
    assert len(outputs["topology"]["nodes"]) == 2
    checkout.run("scripts/down", f"rehearse-{stack}")
    assert not checkout.processes()
