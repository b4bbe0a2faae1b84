"""Stack files as values, for tests of planning."""

from typing import Any

from nodectl.contract.manifest import Service
from planning import manifests, plan
from planning.values import Plan
from settings import Settings
from settings.aws.target import AwsTarget
from settings.problems import StackFileError

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
HUB_TOKEN = "a-planted-token"
ENCRYPTED_TOKEN = {"secure": "AAABAHRoaXMgaXMgd2hhdCBQdWx1bWkgQ2xvdWQgbWFrZXM="}
"""As a stack file has it whose secrets Pulumi Cloud encrypts."""
AWS = {
    "kind": "aws",
    "instanceType": "p5.48xlarge",
    "region": "us-east-1",
    "adminRanges": ["203.0.113.7/32"],
}
"""A target on AWS that can be planned."""


def settings(pattern: str, roles: dict[str, Any], **others: Any) -> Settings:
    """Return a stack file of one pattern; by default local, simulated, one GPU a node."""
    body = {
        "target": {"kind": "local"},
        "model": {"name": "tiny", "source": "generated"},
        "pattern": pattern,
        "roles": roles,
    }
    return Settings.model_validate(body | others)


def agg(replicas: int = 2, **others: Any) -> Settings:
    return settings("agg", {"aggregated": {"replicas": replicas}}, **others)


def disagg(prefill: int = 1, decode: int = 2, **others: Any) -> Settings:
    return settings("disagg", {"prefill": {"replicas": prefill}, "decode": {"replicas": decode}}, **others)


def real(pattern: str, roles: dict[str, Any], **others: Any) -> Settings:
    """Return a stack file of the guide: Llama-3.3-70B with real vLLM, TP8 unless said otherwise, on AWS."""
    split = {
        name: role if name == "frontend" else {"parallelism": {"tensor": 8}, **role}
        for name, role in roles.items()
    }
    return settings(pattern, split, **{"target": AWS, "model": {"name": LLAMA}, **others})


def aws_target(**others: Any) -> AwsTarget:
    """Return a target on AWS that says what it must, and `others`."""
    return AwsTarget.model_validate(
        {"kind": "aws", "instanceType": "p5.48xlarge", "region": "us-east-1", **others}
    )


def addresses(of: Plan) -> dict[str, str]:
    return {node.name: f"10.0.0.{number}" for number, node in enumerate(of.nodes, 1)}


def services(of: Settings) -> dict[str, Service]:
    """Return every service that is planned, as `node/name`."""
    planned = plan(of)
    return {
        f"{node}/{name}": service
        for node, manifest in manifests(planned, addresses(planned)).items()
        for name, service in manifest.services.items()
    }


def places(of: Settings) -> dict[str, list[tuple[str, tuple[int, ...]]]]:
    """Return node and GPUs of every rank, by engine."""
    return {engine.name: [(rank.node, rank.gpus) for rank in engine.ranks] for engine in plan(of).engines}


def refusals(of: Settings) -> dict[str, str]:
    """Return what planning says against a stack file, by key."""
    try:
        plan(of)
    except StackFileError as error:
        return {problem.key: problem.message for problem in error.problems}
    return {}
