"""Records the resources that the program registers for a plan, without an engine, in the wire format."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pytest
from google.protobuf import json_format
from pulumi.runtime import mocks, set_all_config

from planning.aws.network import addresses
from planning.values import Plan
from settings.aws.target import AwsTarget
from tests.recording_monitor import RecordingMonitor

SIGNATURE = "4dabf18193072939515e22adb298388d"
"""Key by which a value on the wire says what it is, such as a secret."""

MADE = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\n{0} private\n-----END OPENSSH PRIVATE KEY-----\nssh-ed25519 {0} c\n"
)


@dataclass(frozen=True)
class Registered:
    """One resource as it was registered."""

    kind: str
    name: str
    inputs: Mapping[str, Any]
    """Secrets are `{SIGNATURE: …, value: …}` here."""
    request: Any
    urn: str

    @property
    def plain(self) -> dict[str, Any]:
        """Return the inputs without the marks of secrets."""
        unmarked: dict[str, Any] = _unmarked(self.inputs)
        return unmarked


class _Cloud(mocks.Mocks):
    """Gives every resource an id, and the outputs that others take from it."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = dict(args.inputs)
        short = args.typ.rpartition(":")[2].lower()
        if args.typ == "command:local:Command":
            outputs["stdout"] = _printed(args.name, args.inputs)
        if short == "eip":
            outputs["publicIp"] = f"198.51.100.{len(args.name)}"
        if short in ("keypair", "placementgroup", "role", "instanceprofile", "launchtemplate"):
            outputs["keyName" if short == "keypair" else "name"] = f"{args.name}-1a2b3c4"
        return f"{short}-{args.name}", outputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token == "aws:ec2/getAmi:getAmi":
            return {"rootDeviceName": "/dev/xvda", "filters": args.args["filters"]}, []
        assert args.token == "aws:ssm/getParameter:getParameter"
        return {"name": args.args["name"], "value": "ami-0123456789abcdef0"}, []


@dataclass(frozen=True)
class Program:
    """All that one run of the program registered."""

    resources: Sequence[Registered]
    nodes: Mapping[str, str]
    """Identity of each node."""
    depends: Mapping[str, set[str]]
    """Dependencies of each node's identity, as TYPE NAME."""
    folder: Path
    """Project folder that it ran in."""
    ends: Mapping[str, Any]
    """End of the capacity of each node; an output if only the state may know it."""

    def of(self, kind: str) -> list[Registered]:
        """Return the resources of a type, whose token ends in `kind`."""
        return [resource for resource in self.resources if resource.kind.endswith(f":{kind}")]

    def named(self, kind: str, name: str) -> Registered:
        """Return one resource."""
        return next(found for found in self.of(kind) if found.name == name)


def record(
    plan: Plan,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    preview: bool = False,
    ends: str | None = None,
) -> Program:
    """Return what the nodes of a plan are made of, in a project folder of their own."""
    from components.aws.nodes import aws_nodes
    from planning.aws.state import state_digest

    target = plan.settings.target
    assert isinstance(target, AwsTarget)
    monkeypatch.chdir(folder)
    owner = state_digest("s3://states", "organization", "dynamo", "disagg")
    recorder = RecordingMonitor(_Cloud())
    mocks.set_mocks(
        recorder.mocks, "dynamo", "disagg", preview=preview, monitor=recorder, organization="organization"
    )
    set_all_config({"aws:region": target.region or ""})
    identities: dict[str, str] = {}
    leaving: dict[str, Any] = {}
    depends: dict[str, asyncio.Future[set[str]]] = {}

    def run() -> pulumi.Output[Any]:
        nodes = aws_nodes(plan, addresses(target, plan.nodes), owner, ends)
        leaving.update({node.name: node.ends for node in nodes})
        for node in nodes:
            depends[node.name] = asyncio.ensure_future(_named(pulumi.Output.from_input(node.identity)))
        identities_output = pulumi.Output.all(**{node.name: node.identity for node in nodes})
        return identities_output.apply(identities.update)

    mocks.test(run)()  # type: ignore[no-untyped-call]
    named = {name: found.result() for name, found in depends.items()}
    resources = [
        Registered(
            registration.request.type,
            registration.request.name,
            json_format.MessageToDict(registration.request.object),
            registration.request,
            registration.urn,
        )
        for registration in recorder.registered
    ]
    return Program(resources, identities, named, folder, leaving)


async def _named(output: pulumi.Output[str]) -> set[str]:
    resources = await output.resources()
    return {f"{type(resource).__name__} {resource._name}" for resource in resources}


def _printed(name: str, inputs: Mapping[str, Any]) -> str:
    return (
        str(inputs["stdin"])
        if name in ("image", "capacity-end")
        else MADE.format(hashlib.sha256(name.encode()).hexdigest())
    )


def _unmarked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return (
            _unmarked(value["value"]) if SIGNATURE in value else {k: _unmarked(v) for k, v in value.items()}
        )
    return [_unmarked(item) for item in value] if isinstance(value, list) else value
