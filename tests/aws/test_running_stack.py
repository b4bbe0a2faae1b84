"""The state of a running stack, and the versions of its launch template that replace its machines."""

import base64
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from operations.state import plain as text
from tests.aws.support.stacks import AwsStacks

STACK: Final = "running"
TOKEN: Final = "hf_planted0123456789secret"
NODES: Final = 2
INSTANCE: Final = "aws:ec2/instance:Instance"
HOURS: Final = {"maxMinutes": 480}


def written(stacks: AwsStacks, **keys: Any) -> None:
    """Write the stack file, with other keys of the target; the token stays."""

    def change(config: dict[str, Any]) -> None:
        config["dynamo:target"] |= {"lifetime": HOURS, **keys}

    stacks.write(STACK, "disagg", change)


@pytest.fixture(scope="module")
def running(books: AwsStacks) -> Iterator[AwsStacks]:
    """Give a stack that is up, with a token."""
    written(books)
    books.create(STACK)
    secret = ("pulumi", "config", "set", "--secret", "--stack", STACK, "dynamo:huggingFaceToken", TOKEN)
    books.checkout.run(*secret)
    token = books.checkout.path / "stacks" / f"Pulumi.{STACK}.yaml"
    kept = token.read_text(encoding="utf-8")
    books.up(STACK)
    yield books
    token.write_text(kept, encoding="utf-8")
    if books.checkout.run("pulumi", "stack", "export", "--stack", STACK, check=False).returncode == 0:
        books.destroy(STACK)


def exported(stacks: AwsStacks, *options: str) -> Any:
    return json.loads(stacks.checkout.run("pulumi", "stack", "export", "--stack", STACK, *options).stdout)


def instances(state: Any) -> list[dict[str, Any]]:
    found = [resource for resource in state["deployment"]["resources"] if resource["type"] == INSTANCE]
    assert len(found) == NODES
    return found


def secrets(stacks: AwsStacks) -> list[str]:
    """Return what must be nowhere in clear: the token and lines of both private keys, also as user data."""
    plain = exported(stacks, "--show-secrets")
    keys = [
        json.loads(resource["outputs"]["stdout"]["plaintext"])
        for resource in plain["deployment"]["resources"]
        if resource["urn"].rpartition("::")[2] in ("host-key", "login-key")
    ]
    assert len(keys) == 2
    lines = [line for key in keys for line in key.splitlines() if len(line) == 70]
    assert lines
    data = [text(instance["outputs"]["userDataBase64"]) for instance in instances(plain)]
    assert all(lines[0] in base64.b64decode(user_data).decode() for user_data in data), (
        "the provider fills it"
    )
    return [TOKEN, *lines, *data]


def leaks(stacks: AwsStacks) -> list[str]:
    """Return what the exported state and the folders of state and stack files have in clear."""
    texts = [json.dumps(exported(stacks))]
    for folder in (".state", "stacks"):
        files = [path for path in (stacks.checkout.path / folder).rglob("*") if path.is_file()]
        texts += [path.read_text(encoding="utf-8", errors="replace") for path in files]
    return [secret for secret in secrets(stacks) if any(secret in text for text in texts)]


def launched(stacks: AwsStacks) -> dict[str, tuple[str, str]]:
    """Return id and template version of every instance that runs, by its name."""
    ec2 = stacks.cloud.client("ec2")
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    found = {}
    for group in ec2.describe_instances(Filters=running)["Reservations"]:
        for instance in group["Instances"]:
            tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
            found[tags["Name"]] = instance["InstanceId"], tags["aws:ec2launchtemplate:version"]
    return found


def refresh(stacks: AwsStacks) -> None:
    stacks.checkout.run("pulumi", "refresh", "--yes", "--skip-preview", "--stack", STACK)


def test_neither_the_token_nor_a_private_key_is_in_the_state_in_clear(running: AwsStacks) -> None:
    assert leaks(running) == []


def test_a_state_that_has_user_data_in_clear_is_mended_by_one_up(running: AwsStacks) -> None:
    """An earlier release did not mark what the provider fills."""
    state, plain = exported(running), exported(running, "--show-secrets")
    for instance, shown in zip(instances(state), instances(plain), strict=True):
        del instance["additionalSecretOutputs"]
        for key in ("userData", "userDataBase64"):
            instance["outputs"][key] = text(shown["outputs"][key])
    file = running.checkout.path / "state.json"
    file.write_text(json.dumps(state), encoding="utf-8")
    running.checkout.run("pulumi", "stack", "import", "--stack", STACK, "--file", str(file))
    file.unlink()
    planted, before = secrets(running), launched(running)
    assert any(secret in json.dumps(exported(running)) for secret in planted)
    running.up(STACK)
    assert launched(running) == before
    assert not any(secret in json.dumps(exported(running)) for secret in planted)


def test_interfaces_that_the_template_makes_carry_the_stacks_tags(running: AwsStacks) -> None:
    found = running.cloud.client("ec2").describe_network_interfaces()["NetworkInterfaces"]
    own = [entry for entry in found if entry.get("Attachment", {}).get("InstanceId")]
    assert len(own) == NODES * 33
    tags = [{tag["Key"]: tag["Value"] for tag in address["TagSet"]} for address in own]
    assert {tag.get("dynamo-multinode:stack") for tag in tags} == {STACK}
    assert {tag["dynamo-multinode:role"] for tag in tags} == {"head", "worker"}


def test_an_instance_is_in_the_placement_group_beside_its_template(running: AwsStacks) -> None:
    """The provider sends a placement of its own, and the account takes that for all of it."""
    groups = {instance["outputs"]["placementGroup"] for instance in instances(exported(running))}
    [made] = running.cloud.client("ec2").describe_placement_groups()["PlacementGroups"]
    assert groups == {made["GroupName"]}


def test_what_only_the_next_machine_boots_with_replaces_none(running: AwsStacks) -> None:
    """Nor does a refresh, which sees that the instance runs another version than the newest."""
    before = launched(running)
    written(running, lifetime={"maxMinutes": 600})
    running.up(STACK)
    refresh(running)
    running.checkout.unchanged(STACK)
    assert launched(running) == before
    assert set(newest_version(running).values()) == {"2"}


def test_a_replaced_machine_has_the_newest_version_also_after_a_refresh(running: AwsStacks) -> None:
    """One by hand, as `scripts/replace` does, and all by a change of what they are launched with."""
    before = launched(running)
    urn = instances(exported(running))[0]["urn"]
    running.up(STACK, "--replace", urn)
    after = launched(running)
    [replaced] = [name for name in after if after[name] != before[name]]
    assert replaced.endswith(urn.rpartition("::")[2])
    newest = newest_version(running)
    assert after[replaced][1] == newest[replaced]
    refresh(running)
    written(running, volume={"sizeGib": 300})
    running.up(STACK)
    assert {name: version for name, (_, version) in launched(running).items()} == newest_version(running)
    running.checkout.unchanged(STACK)


def newest_version(stacks: AwsStacks) -> dict[str, str]:
    """Return the newest version of each node's template, by the template's name tag."""
    found = stacks.cloud.client("ec2").describe_launch_templates()["LaunchTemplates"]
    return {
        next(tag["Value"] for tag in entry["Tags"] if tag["Key"] == "Name"): str(entry["LatestVersionNumber"])
        for entry in found
    }


def test_what_guardduty_put_into_the_network_goes_with_it_and_nothing_else(running: AwsStacks) -> None:
    """Runtime Monitoring: an endpoint with a security group, in every VPC that has instances."""
    ec2 = running.cloud.client("ec2")
    elsewhere = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    state = exported(running)["deployment"]["resources"]
    own = next(entry["id"] for entry in state if entry["type"] == "aws:ec2/vpc:Vpc")
    subnet = next(entry["id"] for entry in state if entry["urn"].endswith("Subnet::cluster"))
    tags = [{"Key": "GuardDutyManaged", "Value": "true"}]
    for vpc, subnets in ((own, [subnet]), (elsewhere, [])):
        group = ec2.create_security_group(
            GroupName="GuardDutyManagedSecurityGroup",
            Description="of GuardDuty",
            VpcId=vpc,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
        )["GroupId"]
        if subnets:
            ec2.create_vpc_endpoint(
                VpcId=vpc,
                ServiceName="com.amazonaws.us-east-1.guardduty-data",
                VpcEndpointType="Interface",
                SubnetIds=subnets,
                SecurityGroupIds=[group],
                TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": tags}],
            )
    result = running.checkout.run("scripts/down", STACK)
    assert "guardduty  vpce-" in result.stderr
    left = running.cloud.inventory()
    assert {"instances", "endpoints", "subnets"} & left.keys() <= {"subnets"}
    assert own not in left["VPCs"]
    assert elsewhere in left["VPCs"]
    assert group in left["security groups"]
    assert not [entry for entry in left["subnets"] if entry == subnet]
