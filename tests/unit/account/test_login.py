"""Look-ups are made as the AWS provider acts, or not at all: the real client, several accounts.

Every key of the provider is a member of a table here: what it does to who asks, or that nobody asks then.
"""

import json
import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from account import Fleet, Login, LoginError, check, identity, login
from account.identity import IRRELEVANT, SUPPORTED, UNSUPPORTED
from account.instance_power import Power, PowerError
from account.queries import subnet_of
from tests.unit.account_examples import REGION, aws_plan
from tests.unit.cloud_standins import answering, imds

HOME, SECOND, THIRD = "123456789012", "222222222222", "333333333333"
FLEET = Fleet("dynamo", "disagg", "0011223344556677")
STAND_IN = "http://127.0.0.1:9"
"""Nobody answers there: who asks in spite of the keys fails."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def _operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Give the operator credentials of the first account in the environment, and nothing at home."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setattr(login, "READ_SECONDS", 60)  # a busy machine is no account that does not answer


def role(account: str, name: str = "deploy") -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def temporary(url: str, account: str) -> Mapping[str, Any]:
    """Return credentials of an account."""
    sts = boto3.client("sts", region_name=REGION, endpoint_url=url)
    credentials: Mapping[str, Any] = sts.assume_role(RoleArn=role(account), RoleSessionName="tests")[
        "Credentials"
    ]
    return credentials


def caller(config: Mapping[str, Any], region: str = REGION) -> str:
    """Return the number of the account that look-ups are made in."""
    return str(Login(region, identity(config)).open().client("sts").get_caller_identity()["Account"])


ROLES: dict[str, tuple[Any, str]] = {
    "none": ({}, HOME),
    "an empty list": ({"aws:assumeRoles": []}, HOME),
    "one, as earlier versions name it": ({"aws:assumeRole": {"roleArn": role(SECOND)}}, SECOND),
    "one": ({"aws:assumeRoles": [{"roleArn": role(SECOND)}]}, SECOND),
    "one after another": (
        {"aws:assumeRoles": [{"roleArn": role(SECOND)}, {"roleArn": role(HOME)}, {"roleArn": role(THIRD)}]},
        THIRD,
    ),
    "as Pulumi hands it to the program": (
        {"aws:assumeRoles": json.dumps([{"roleArn": role(SECOND), "sessionName": "ci", "duration": "30m"}])},
        SECOND,
    ),
    "with all that a role may say": (
        {
            "aws:assumeRoles": [
                {
                    "roleArn": role(THIRD),
                    "sessionName": "ci",
                    "externalId": "of-them",
                    "duration": "1h30m",
                    "policy": '{"Version": "2012-10-17", "Statement": []}',
                    "policyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
                    "sourceIdentity": "somebody",
                    "tags": {"team": "serving"},
                    "transitiveTagKeys": ["team"],
                }
            ]
        },
        THIRD,
    ),
    "by the token of a CI system": (
        {"aws:assumeRoleWithWebIdentity": {"roleArn": role(SECOND), "webIdentityToken": "a.b.c"}},
        SECOND,
    ),
    "by such a token, and then another": (
        {
            "aws:assumeRoleWithWebIdentity": {"roleArn": role(SECOND), "webIdentityToken": "a.b.c"},
            "aws:assumeRoles": [{"roleArn": role(THIRD)}],
        },
        THIRD,
    ),
}


@pytest.mark.parametrize("name", ROLES)
def test_roles_are_taken_on_before_anything_is_asked(name: str) -> None:
    config, expected = ROLES[name]
    assert caller(config) == expected


def test_a_token_is_read_from_its_file_without_other_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    token = tmp_path / "token"
    token.write_text("a.b.c\n", encoding="utf-8")
    keys = {"roleArn": role(SECOND), "webIdentityTokenFile": str(token)}
    assert caller({"aws:assumeRoleWithWebIdentity": keys}) == SECOND
    token.unlink()
    with pytest.raises(LoginError, match="No such file"):
        caller({"aws:assumeRoleWithWebIdentity": keys})


def profile_file(path: Path, profile: str, credentials: Mapping[str, Any]) -> str:
    path.write_text(
        f"[{profile}]\naws_access_key_id = {credentials['AccessKeyId']}\n"
        f"aws_secret_access_key = {credentials['SecretAccessKey']}\naws_session_token = "
        f"{credentials['SessionToken']}\n",
        encoding="utf-8",
    )
    return str(path)


def test_keys_of_the_stack_file_go_over_those_of_the_environment(url: str) -> None:
    credentials = temporary(url, SECOND)
    keys = {"aws:accessKey": credentials["AccessKeyId"], "aws:secretKey": credentials["SecretAccessKey"]}
    assert caller(keys | {"aws:token": credentials["SessionToken"]}) == SECOND


def test_a_profile_and_the_files_that_it_is_in_decide(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = profile_file(tmp_path / "profile", "gpu", temporary(url, SECOND))
    assert caller({"aws:profile": "gpu", "aws:sharedCredentialsFiles": [file]}) == SECOND
    config = tmp_path / "config"
    config.write_text(f"[profile deploy]\nrole_arn = {role(THIRD)}\nsource_profile = gpu\n", encoding="utf-8")
    both = {"aws:sharedCredentialsFiles": [file], "aws:sharedConfigFiles": json.dumps([str(config)])}
    assert caller(both | {"aws:profile": "deploy"}) == THIRD
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", file)
    assert caller({"aws:profile": "gpu"}) == SECOND
    with pytest.raises(LoginError, match="nobody"):
        caller({"aws:profile": "nobody"})


@pytest.mark.parametrize(
    ("value", "used"), [(None, False), (True, False), ("true", False), (False, True), ("false", True)]
)
def test_the_machines_own_role_counts_only_where_the_provider_asks_for_it(
    url: str, monkeypatch: pytest.MonkeyPatch, value: object, used: bool
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", STAND_IN)
    credentials = temporary_of_metadata(url, monkeypatch)
    with imds() as metadata:
        path = "/latest/meta-data/iam/security-credentials/"
        metadata.documents |= {path: "nodes", f"{path}nodes": credentials}
        config: dict[str, Any] = {"aws:ec2MetadataServiceEndpoint": metadata.url}
        config |= {} if value is None else {"aws:skipMetadataApiCheck": value}
        if used:
            assert caller(config) == SECOND
        else:
            with pytest.raises(LoginError, match="no AWS credentials"):
                caller(config)


def temporary_of_metadata(url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        credentials = temporary(url, SECOND)
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": credentials["AccessKeyId"],
        "SecretAccessKey": credentials["SecretAccessKey"],
        "Token": credentials["SessionToken"],
        "Expiration": "2099-01-01T00:00:00Z",
        "LastUpdated": "2026-01-01T00:00:00Z",
    }


def test_endpoints_of_the_stack_file_are_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", STAND_IN)
    config = {"aws:endpoints": [{"sts": url, "ec2": url}], "aws:assumeRoles": [{"roleArn": role(SECOND)}]}
    assert caller(config) == SECOND
    opened = Login(REGION, identity(config)).open()
    ec2 = opened.client("ec2")
    assert ec2.describe_vpcs()["Vpcs"][0]["OwnerId"] == SECOND
    assert opened.client("service-quotas").meta.endpoint_url == STAND_IN


def test_how_requests_travel_is_as_the_stack_file_says(tmp_path: Path) -> None:
    proxied = {"aws:httpsProxy": "http://127.0.0.1:3128", "aws:insecure": True, "aws:stsRegion": "eu-west-1"}
    opened = Login(REGION, identity(proxied)).open()
    assert opened.client("ec2")._client_config.proxies == {"https": "http://127.0.0.1:3128"}
    assert identity(proxied).sts_region == "eu-west-1"
    assert identity({"aws:customCaBundle": "/ca.pem"}).ca_bundle == "/ca.pem"


def test_an_account_that_the_provider_keeps_out_of_is_not_asked() -> None:
    assert caller({"aws:allowedAccountIds": [HOME]}) == HOME
    for config in ({"aws:allowedAccountIds": [SECOND]}, {"aws:forbiddenAccountIds": json.dumps([HOME])}):
        with pytest.raises(LoginError, match=f"{HOME}: `aws:(allowed|forbidden)AccountIds` keeps"):
            caller(config)


UNLIKE: dict[str, tuple[dict[str, Any], str]] = {
    "what look-ups cannot do": ({"aws:noProxy": "10.0.0.0/8"}, "aws:noProxy: look-ups cannot do as it says"),
    "what nobody knows": (
        {"aws:asumeRole": {"roleArn": role(SECOND)}},
        "aws:asumeRole: no key that",
    ),
    "several files": ({"aws:sharedConfigFiles": ["a", "b"]}, "aws:sharedConfigFiles: 2 files"),
    "an encrypted key": (
        {"aws:accessKey": "AKIA", "aws:secretKey": {"secure": "v1:x"}},
        "aws:secretKey: encrypted in the stack file",
    ),
    "something encrypted within": (
        {"aws:assumeRoles": [{"roleArn": role(SECOND), "externalId": {"secure": "v1:x"}}]},
        "aws:assumeRoles: encrypted in the stack file",
    ),
    "half of a key": ({"aws:accessKey": "AKIA"}, "aws:accessKey: goes with `aws:secretKey`"),
    "a role without a name": (
        {"aws:assumeRoles": [{"sessionName": "x"}]},
        "expected `roleArn`",
    ),
    "a role that says what nobody knows": (
        {"aws:assumeRoles": [{"roleArn": role(SECOND), "mfa": "x"}]},
        "aws:assumeRoles.mfa: not known here",
    ),
    "a name of a role alone": (
        {"aws:assumeRoles": [{"roleArn": "deploy"}]},
        "expected `roleArn`, such as arn:",
    ),
    "tags that are none": (
        {"aws:assumeRoles": [{"roleArn": role(SECOND), "tags": 5}]},
        "aws:assumeRoles.tags: expected a text by name",
    ),
    "policies that are no list": (
        {"aws:assumeRoles": [{"roleArn": role(SECOND), "policyArns": "arn:aws:iam::aws:policy/X"}]},
        "aws:policyArns: expected a list of texts",
    ),
    "a role for so long": (
        {"aws:assumeRoles": [{"roleArn": role(SECOND), "duration": "soon"}]},
        "aws:assumeRoles.duration: expected such as 1h or 30m",
    ),
    "a switch that is none": ({"aws:skipMetadataApiCheck": "no"}, "aws:skipMetadataApiCheck: expected true"),
    "broken JSON": ({"aws:assumeRoles": "[{"}, "aws:assumeRoles: expected JSON"),
    "no token": ({"aws:assumeRoleWithWebIdentity": {"roleArn": role(SECOND)}}, "expected `webIdentityToken`"),
    "endpoints that are none": ({"aws:endpoints": "http://x"}, "aws:endpoints: expected URLs by service"),
    "accounts that are no list": ({"aws:allowedAccountIds": HOME}, "aws:allowedAccountIds: expected a list"),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_where_nobody_can_ask_as_the_provider_nobody_does_and_it_is_said(name: str) -> None:
    config, expected = UNLIKE[name]
    provider_login = Login(REGION, identity(config))
    report = check(aws_plan(), FLEET, provider_login)
    assert report.problems == ()
    (line,) = report.lines
    assert line.startswith("account    not asked: ")
    assert expected in line
    assert "another account might answer" in line
    with pytest.raises(PowerError, match=re.escape(expected)):
        Power.of(provider_login, print)


DENIED: str = """\
<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>User: somebody is not authorized to perform: sts:AssumeRole</Message>
</Error></ErrorResponse>
"""


def test_a_role_that_may_not_be_taken_on_is_named_and_refuses_nothing() -> None:
    """Another account's answer about a subnet is no answer."""
    plan = aws_plan(network={"vpcId": "vpc-01234567", "subnetId": "subnet-01234567", "cidr": "10.9.0.0/24"})
    with answering(403, DENIED) as sts:
        config = {"aws:endpoints": [{"sts": sts}], "aws:assumeRoles": [{"roleArn": role(SECOND)}]}
        report = check(plan, FLEET, Login(REGION, identity(config)))
    assert report.problems == ()
    (line,) = report.lines
    assert line.startswith(f"account    not asked: {role(SECOND)}: AccessDenied: User: somebody is not")


def test_what_exists_in_the_roles_account_is_found_and_nothing_of_the_operators(url: str) -> None:
    credentials = temporary(url, SECOND)
    ec2 = boto3.client(
        "ec2",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    created = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZone="us-east-1a")
    subnet = created["Subnet"]["SubnetId"]

    def finds_subnet(config: Mapping[str, Any]) -> bool:
        return subnet_of(Login(REGION, identity(config)).open().client("ec2"), subnet) is not None

    assert finds_subnet({"aws:assumeRoles": [{"roleArn": role(SECOND)}]})
    assert not finds_subnet({})


def test_every_key_of_the_provider_is_decided() -> None:
    spec = find_spec("pulumi_aws")
    assert spec is not None
    assert spec.submodule_search_locations
    text = Path(spec.submodule_search_locations[0], "config/vars.py").read_text(encoding="utf-8")
    known = set(re.findall(r"__config__\.get(?:_\w+)?\('(\w+)'\)", text))
    assert len(known) > 30
    decided = SUPPORTED | IRRELEVANT | UNSUPPORTED
    assert known <= decided, sorted(known - decided)
    assert not SUPPORTED & IRRELEVANT
