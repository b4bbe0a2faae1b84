"""Wrong stack files create nothing; a secret is seen by the services that use it and nowhere else."""

import psutil
import pytest

from tests.engine.deployment.checkout import Checkout

TOKEN = "hf_planted0123456789secret"


def test_a_wrong_stack_file_is_refused_by_the_engine_too_and_creates_nothing(checkout: Checkout) -> None:
    checkout.copy_stack("local", "wrong")
    checkout.edit("wrong", lambda config: config.update({"dynamo:patern": "agg"}))
    for command in (["scripts/up", "wrong"], ["pulumi", "up", "--yes", "--skip-preview", "--stack", "wrong"]):
        checkout.run("pulumi", "stack", "select", "--create", "--stack", "wrong")
        refused = checkout.run(*command, check=False)
        printed = refused.stdout + refused.stderr
        assert refused.returncode != 0
        assert "patern" in printed
        assert "pattern" in printed
        assert "Traceback" not in printed
    assert not checkout.roots("wrong")
    checkout.run("scripts/down", "wrong")


@pytest.mark.parametrize("good", [True, False], ids=["good-up", "failing-up"])
def test_a_planted_token_is_found_nowhere_but_in_its_own_file(checkout: Checkout, good: bool) -> None:
    stack = "secretive"
    checkout.copy_stack("local", stack)
    checkout.run("pulumi", "stack", "select", "--create", "--stack", stack)
    checkout.run(
        "bash",
        "-c",
        f"printf %s {TOKEN} | pulumi config set --stack {stack} --secret dynamo:huggingFaceToken",
    )
    if not good:
        checkout.edit(stack, lambda c: c["dynamo:roles"]["aggregated"].update(env={"PYTHONHOME": "/nowhere"}))
        checkout.edit(stack, lambda c: c.update({"dynamo:proofSeconds": 10}))
    up = checkout.up(stack, check=False)
    assert (up.returncode == 0) == good, up.stdout + up.stderr
    assert TOKEN not in up.stdout + up.stderr
    assert TOKEN not in checkout.run("pulumi", "stack", "export", "--stack", stack).stdout
    assert TOKEN not in "".join(
        " ".join(p.cmdline()) for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"]
    )
    holding = [
        path
        for folder in (".run", ".state", "stacks")
        for path in (checkout.path / folder).rglob("*")
        if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]
    assert {path.parent.name for path in holding} == {"secrets"}
    assert {path.stat().st_mode & 0o777 for path in holding} == {0o600}
    assert len(holding) == len(checkout.roots(stack))
    checkout.run("scripts/down", stack)
    assert not checkout.roots(stack)
