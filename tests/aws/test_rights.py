"""Rights of a stack's nodes in the account: to read the model where it is on S3, and nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nodectl.contract.runtime import ModelSource
from policy.resource import Resource
from policy.rules import RULES
from tests.aws.test_components_graph import planned, recorded


def test_a_model_on_s3_may_be_read_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = planned()
    model = ModelSource(kind="s3", name="s3://models/llama")
    of = replace(of, runtime=replace(of.runtime, model=model))
    program = recorded(tmp_path, monkeypatch, of)
    [written] = program.of("RolePolicy")
    statements = json.loads(written.plain["policy"])["Statement"]
    assert [(statement["Action"], statement["Resource"]) for statement in statements] == [
        ("s3:ListBucket", "arn:aws:s3:::models"),
        ("s3:GetObject", "arn:aws:s3:::models/llama/*"),
        ("kms:Decrypt", "arn:aws:kms:*:*:key/*"),
    ]
    # of a bucket under a key of KMS, and for S3 alone
    assert statements[2]["Condition"]["StringLike"] == {
        "kms:ViaService": "s3.*.amazonaws.com*",
        "kms:EncryptionContext:aws:s3:arn": ["arn:aws:s3:::models", "arn:aws:s3:::models/llama/*"],
    }
    policy = Resource("aws:iam/rolePolicy:RolePolicy", "model", {"policy": written.plain["policy"]})
    assert [rule.name for rule in RULES if list(rule.violations(policy))] == []


def test_without_a_model_on_s3_nodes_have_no_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = recorded(tmp_path, monkeypatch, planned())
    assert program.of("RolePolicy") == []
    assert program.of("RolePolicyAttachment") == []
    [role] = program.of("Role")
    trusted = json.loads(role.plain["assumeRolePolicy"])["Statement"]
    assert [statement["Principal"]["Service"] for statement in trusted] == ["ec2.amazonaws.com"]
