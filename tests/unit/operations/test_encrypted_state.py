"""State of a stack that has a secret: what is exported without secrets has texts that are no texts."""

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from operations import nodes
from tests.unit.operations.deployed import deployed
from tests.unit.operations.steps import run

MARK = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
TOKEN = "hf_planted0123456789"
STACKS = Path(__file__).parents[3] / "stacks"

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "node": ("node-1", "status", "--human"),
    "prove": (),
    "ready": (),
    "repair": (),
}
"""Commands that read a stack's commands from its state, with their arguments."""


def encrypted(text: str, *, shown: bool) -> dict[str, str]:
    """Return a text as an export has it that is a secret, with or without `--show-secrets`."""
    return MARK | ({"plaintext": json.dumps(text)} if shown else {"ciphertext": "v1:AAAA:BBBB"})


def command(name: str, create: str, stdin: str) -> dict[str, Any]:
    urn = f"urn:pulumi:local::dynamo::dynamo:node:Any$command:local:Command::{name}"
    return {"type": "command:local:Command", "urn": urn, "inputs": {"create": create, "stdin": stdin}}


def state(secrets: set[str], *, shown: bool) -> dict[str, Any]:
    """Return an exported stack in which these inputs, `NAME/INPUT`, are secrets."""
    spec = json.dumps({"model": "tiny", "token": TOKEN})
    setup = {verb: ["true", verb] for verb in nodes.SETS_UP}
    resources = [
        *deployed("node-1", ["echo"], setup=setup, stdin=spec),
        command("proof", "echo proof", spec),
    ]
    for resource in resources:
        name = resource["urn"].rpartition("::")[2]
        if "inputs" not in resource:
            continue
        for key, text in resource["inputs"].items():
            if f"{name}/{key}" in secrets:
                resource["inputs"][key] = encrypted(text, shown=shown)
    outputs = {"endpoint": "http://127.0.0.1:8000"}
    resources.append({"type": "pulumi:pulumi:Stack", "urn": "urn::s", "outputs": outputs})
    return {"deployment": {"resources": resources}}


INPUTS = [
    f"{name}/{key}"
    for name in ("node-1-install", "node-1-secrets", "node-1-apply", "proof")
    for key in ("stdin", "create")
]


def subsets() -> Iterator[set[str]]:
    """Yield every single input, all standard inputs, and everything."""
    yield from ({one} for one in INPUTS)
    yield {one for one in INPUTS if one.endswith("stdin")}
    yield set(INPUTS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the stack `local`, and a `pulumi` that exports `plain.json`, or `shown.json`."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "stacks").mkdir()
    (folder / "stacks/Pulumi.local.yaml").write_text((STACKS / "Pulumi.local.yaml").read_text())
    cli = folder / "bin/pulumi"
    cli.parent.mkdir()
    cli.write_text(
        f'#!/bin/sh\ncase "$*" in *--show-secrets*) cat {folder}/shown.json; exit ;; esac\n'
        f"cat {folder}/plain.json\n"
    )
    cli.chmod(0o755)
    return folder


@pytest.fixture
def project(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    monkeypatch.setenv("PATH", str(made / "bin"), prepend=":")
    return made


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("secrets", [*subsets()], ids=lambda found: "+".join(sorted(found)))
def test_what_scripts_do_with_a_stack_that_has_secrets_is_done_or_is_one_line(
    project: Path, name: str, secrets: set[str], capfd: pytest.CaptureFixture[str]
) -> None:
    for file, shown in (("plain", False), ("shown", True)):
        (project / f"{file}.json").write_text(json.dumps(state(secrets, shown=shown)))
    code = run(name, "local", *COMMANDS[name])
    printed = capfd.readouterr()
    assert TOKEN not in printed.out + printed.err
    if code:
        assert (code, len(printed.err.splitlines())) == (1, 1)
        assert "encrypted" in printed.err
    elif name == "node":
        assert printed.out == "status --root /r --human\n"


@pytest.mark.parametrize("verbs", [*itertools.combinations(nodes.SETS_UP, 2)], ids="+".join)
def test_a_node_is_asked_though_what_set_it_up_holds_a_secret(
    project: Path, verbs: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = {f"node-1-{verb}/stdin" for verb in verbs}
    (project / "plain.json").write_text(json.dumps(state(secrets, shown=False)))
    assert run("node", "local", "node-1", "logs", "decode-0") == 0
    assert capfd.readouterr().out == "logs --root /r decode-0\n"
