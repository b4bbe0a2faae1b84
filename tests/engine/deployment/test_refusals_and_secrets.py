"""Wrong stack files create nothing; a secret is seen by the services that use it and nowhere else."""

import re
import shlex
import subprocess

import psutil
import pytest
import yaml

from tests.engine.deployment.checkout import Checkout

TOKEN = "hf_planted0123456789secret"

OWN = {"PULUMI_CONFIG_PASSPHRASE": "of our own"}


def typed(checkout: Checkout, line: str, stdin: str = TOKEN, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line as a user does who has just cloned the project, in a shell where nothing is set."""
    bare = {name: value for name, value in checkout.env.items() if not name.startswith(("PULUMI_", "DYN"))}
    return subprocess.run(
        shlex.split(line),
        cwd=checkout.path,
        env=bare | env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def remedies(printed: str) -> list[str]:
    """Return the commands that a message tells to run."""
    return re.findall(r"`((?:scripts/|pulumi ).*?)`", printed)


def test_a_wrong_stack_file_is_refused_by_the_engine_too_and_creates_nothing(checkout: Checkout) -> None:
    checkout.copy_stack("local", "wrong")
    checkout.edit("wrong", lambda config: config.update({"dynamo:patern": "agg"}))
    for command in (["scripts/up", "wrong"], ["pulumi", "up", "--yes", "--skip-preview", "--stack", "wrong"]):
        checkout.run("pulumi", "stack", "select", "--create", "--stack", "wrong")
        refusal = checkout.run(*command, check=False)
        printed = refusal.stdout + refusal.stderr
        assert refusal.returncode != 0
        assert "patern" in printed
        assert "pattern" in printed
        assert "Traceback" not in printed
    assert not checkout.roots("wrong")
    checkout.run("scripts/down", "wrong")


BAD = {"in clear": TOKEN, "garbage": "garbage", "empty": "", "cut": "v1:abc:def"}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_token_that_pulumi_cannot_decrypt_is_refused_and_the_remedy_is_followed_as_it_is_printed(
    checkout: Checkout, bad: str
) -> None:
    stack = "remedied"
    checkout.copy_stack("local", stack)
    checkout.edit(stack, lambda config: config.update({"dynamo:huggingFaceToken": {"secure": bad}}))
    refusal = typed(checkout, f"scripts/up {stack}")
    assert refusal.returncode == 2
    assert TOKEN not in refusal.stdout + refusal.stderr
    assert stack not in typed(checkout, f"bash -c 'eval \"$(scripts/env {stack})\"; pulumi stack ls'").stdout
    [command] = remedies(refusal.stderr)
    followed = typed(checkout, command)
    assert (followed.returncode, TOKEN in followed.stdout + followed.stderr) == (0, False), followed.stderr
    assert typed(checkout, f"scripts/plan {stack}").returncode == 0

    # whoever edits the file once it is there can take the stack down, too
    checkout.edit(stack, lambda config: config.update({"dynamo:huggingFaceToken": {"secure": bad}}))
    down = typed(checkout, f"scripts/down {stack}")
    assert down.returncode == 0, down.stderr
    assert "has been removed" in down.stdout


def test_a_secret_of_other_machines_gets_a_key_that_not_everybody_has(checkout: Checkout) -> None:
    """Every command that is printed on the way is run as it is printed, from a clone without any stack."""
    stack = "elsewhere"
    checkout.copy_stack("lab-agg", stack)
    path = checkout.path / f"stacks/Pulumi.{stack}.yaml"
    set_it = f"scripts/secret {stack} huggingFaceToken"
    shipped = typed(checkout, set_it)
    assert shipped.returncode == 2
    assert "remove the line `encryptionsalt`" in shipped.stderr
    assert set_it in remedies(shipped.stderr)
    path.write_text("".join(x for x in path.read_text().splitlines(True) if "encryptionsalt" not in x))
    for passphrase in ({}, {"PULUMI_CONFIG_PASSPHRASE": "dynamo"}, {"PULUMI_CONFIG_PASSPHRASE": ""}):
        documented = typed(checkout, set_it, **passphrase)
        assert documented.returncode == 2
        assert "everybody knows" in documented.stderr
        assert "set PULUMI_CONFIG_PASSPHRASE to one of your own" in documented.stderr
        assert set_it in remedies(documented.stderr)
        assert "encryptionsalt" not in path.read_text()
    completed = typed(checkout, set_it, **OWN)
    assert completed.returncode == 0, completed.stderr
    assert "secure" in yaml.safe_load(path.read_text())["config"]["dynamo:huggingFaceToken"]
    assert TOKEN not in path.read_text() + completed.stdout + completed.stderr
    assert typed(checkout, f"scripts/plan {stack}").returncode == 0
    assert typed(checkout, f"scripts/down {stack}", **OWN).returncode == 0

    # who set it by hand with what scripts/env exports is stopped before any machine hears of it
    by_hand = f"printf %s {TOKEN} | pulumi config set --stack {stack} --secret dynamo:huggingFaceToken"
    path.write_text("".join(x for x in path.read_text().splitlines(True) if "encryptionsalt" not in x))
    checkout.run("bash", "-c", f"pulumi stack init {stack} && {by_hand}")
    for command in (f"scripts/plan {stack}", f"scripts/up {stack}"):
        stopped = typed(checkout, command)
        assert stopped.returncode == 2
        assert "documented passphrase" in stopped.stderr
    preview = checkout.run("pulumi", "preview", "--stack", stack, check=False)
    assert preview.returncode
    assert "documented passphrase" in preview.stdout + preview.stderr
    assert typed(checkout, f"scripts/down {stack}").returncode == 0


SCRIPTS = {
    "scripts/plan {stack}": 0,
    "scripts/plan {stack} --account": 0,
    "scripts/prove {stack}": 0,
    "scripts/node {stack} node-1 status": 0,
    "scripts/node {stack} node-2 status --human": 0,
    "scripts/node {stack} node-1 logs frontend": 0,
    "scripts/node {stack} node-1 no-verb": 2,
    "scripts/access {stack}": 1,
    "scripts/pause {stack}": 1,
    "scripts/replace {stack} node-1": 1,
    "scripts/ci-preview {stack}": 0,
    "scripts/env {stack}": 0,
    "scripts/init {stack} --backend s3://b/f --secrets-provider awskms://alias/k?region=us-east-1": 2,
    "scripts/secret {stack} huggingFaceToken": 0,
    "scripts/up {stack}": 0,
}
"""Scripts that are run on a stack that is up and has a secret -> how they end."""


def every_script_does_with_a_secret_what_it_does_without(checkout: Checkout, stack: str) -> None:
    for line, code in SCRIPTS.items():
        completed = typed(checkout, line.format(stack=stack))
        printed = completed.stdout + completed.stderr
        assert completed.returncode == code, f"{line}: {printed}"
        assert TOKEN not in printed, line
        assert "Traceback" not in printed, line


@pytest.mark.parametrize("good", [True, False], ids=["good-up", "failing-up"])
def test_a_planted_token_is_found_nowhere_but_in_its_own_file(checkout: Checkout, good: bool) -> None:
    stack = "secretive"
    checkout.copy_stack("local", stack)
    assert typed(checkout, f"scripts/secret {stack} huggingFaceToken").returncode == 0
    if not good:
        flags = {"planner-profile-data": "/nowhere"}  # which only the node can tell
        checkout.edit(stack, lambda c: c["dynamo:roles"]["aggregated"].update(flags=flags))
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
    if good:
        every_script_does_with_a_secret_what_it_does_without(checkout, stack)
    checkout.run("scripts/down", stack)
    assert not checkout.roots(stack)
