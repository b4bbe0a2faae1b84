"""The stand-in serves every type through its life, as the official provider does: the real engine says so."""

import base64
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.aws.cloud.server import REGION, Cloud
from tests.aws.support.plugin import add_standin
from tests.engine.pulumi_cli import PulumiProject, Result

PROGRAM = Path(__file__).parent / "support/everything.py"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH8zN5sLzYBjZ5h9xkZtGm7p9D3jzqJ0mDqYk0Qe3mYp everything\n"
STACK = "everything"
OTHER_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::models"}],
}


REPLACING = ("replace", "create-replacement", "delete-replaced")


@dataclass(frozen=True)
class Everything:
    """The stack with one resource of every type, brought up."""

    cloud: Cloud
    project: PulumiProject
    before: Mapping[str, list[str]]
    """Resources of the account before the test."""

    def change(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        (self.project.folder / "changes.json").write_text(json.dumps(changes), encoding="utf-8")

    def preview(self, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Return what an `up` with these changes would do, without what stays the same."""
        self.change(changes)
        steps = self.project.preview(STACK).steps()
        return {name: step for name, step in steps.items() if step != "same"}

    def up(self, changes: Mapping[str, Mapping[str, Any]]) -> Result:
        self.change(changes)
        return self.project.up(STACK)


@pytest.fixture(scope="module")
def stack(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    """Bring the stack up, once for all tests of this file."""
    folder = tmp_path_factory.mktemp("everything")
    base = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    home = {"PULUMI_HOME": str(add_standin(folder / ".home", base))}
    project = PulumiProject.make(folder, PROGRAM.read_text(encoding="utf-8"), {**cloud.environment, **home})
    (folder / "key.pub").write_text(PUBLIC_KEY, encoding="utf-8")
    made = Everything(cloud, project, cloud.inventory())
    project.init(STACK)
    project.run("config", "set", "aws:region", REGION, "--stack", STACK)
    made.up({})
    yield made
    project.destroy(STACK)
    assert cloud.inventory() == made.before


def test_nothing_is_done_when_nothing_changed(stack: Everything) -> None:
    assert stack.preview({}) == {}


def test_a_secret_input_is_nowhere_in_the_state(stack: Everything) -> None:
    exported = stack.project.export(STACK)
    assert base64.b64encode(b"#cloud-config\n{}\n# hush\n").decode() not in exported
    assert stack.project.resources(STACK)["template"]["outputs"]["userData"]["ciphertext"]


def test_an_instance_has_its_interfaces_image_profile_and_place(stack: Everything) -> None:
    outputs = stack.project.outputs(STACK)
    ec2 = stack.cloud.client("ec2")
    found = ec2.describe_instances(InstanceIds=[outputs["instance"]])["Reservations"][0]["Instances"][0]
    assert (found["PrivateIpAddress"], found["PublicIpAddress"]) == ("10.79.0.11", outputs["public"])
    assert outputs["root"] == "/dev/sda1", "as the image says"
    assert found["InstanceType"] == "p5.48xlarge"
    assert found["IamInstanceProfile"]["Arn"].rpartition("/")[2].startswith("profile-")
    assert found["Placement"]["GroupName"].startswith("near-")
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert sorted(
        interface["Attachment"]["NetworkCardIndex"] for interface in found["NetworkInterfaces"]
    ) == [0, 1]
    volumes = [mapping["Ebs"]["VolumeId"] for mapping in found["BlockDeviceMappings"]]
    described = ec2.describe_volumes(VolumeIds=volumes)["Volumes"]
    assert [(entry["Size"], entry["Encrypted"]) for entry in described] == [(200, True)]


def test_a_replaced_interface_takes_what_depends_on_it_along(stack: Everything) -> None:
    steps = stack.preview({"interface": {"private_ips": ["10.79.0.12"]}})
    assert {name for name, step in steps.items() if step in REPLACING} == {"interface", "led"}
    assert {name for name, step in steps.items() if step == "update"} == {"template"}


def test_changes_in_place_reach_aws(stack: Everything) -> None:
    other = {"Name": "other", "more": "1"}
    first = stack.project.outputs(STACK)["instance"]
    completed = stack.up(
        {
            **{name: {"tags": other} for name in ("vpc", "near", "key", "role", "profile", "instance")},
            "in": {"cidr_ipv4": "10.1.0.0/16", "description": "SSH from there", "tags": other},
            "template": {"instance_type": "p5en.48xlarge", "tags": other},
            "policy": {"policy": json.dumps(OTHER_POLICY)},
        }
    )
    assert {step for step in completed.steps().values() if step != "same"} == {"update"}
    outputs = stack.project.outputs(STACK)
    assert (outputs["instance"], outputs["version"]) == (first, 2)
    ec2 = stack.cloud.client("ec2")
    network = ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.79.0.0/24"]}])["Vpcs"][0]
    assert {tag["Key"]: tag["Value"] for tag in network["Tags"]} == other
    rules = ec2.describe_security_group_rules()["SecurityGroupRules"]
    assert ("10.1.0.0/16", "SSH from there") in [(r.get("CidrIpv4"), r.get("Description")) for r in rules]
    groups = ec2.describe_placement_groups()["PlacementGroups"]
    assert {tag["Key"]: tag["Value"] for tag in groups[0]["Tags"]} == other


def test_an_instance_that_runs_another_version_than_the_latest_is_replaced(stack: Everything) -> None:
    first = stack.project.outputs(STACK)["instance"]
    stack.up({})
    assert stack.project.outputs(STACK)["instance"] != first
    assert stack.preview({}) == {}


def test_a_subnet_that_moved_to_another_table_needs_a_new_association(stack: Everything) -> None:
    ec2 = stack.cloud.client("ec2")
    [network] = ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.79.0.0/24"]}])["Vpcs"]
    table = ec2.create_route_table(VpcId=network["VpcId"])["RouteTable"]["RouteTableId"]
    moved = stack.up({"association": {"route_table_id": table}})
    assert moved.steps()["association"] == "update"
    [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    [association] = found["Associations"]
    assert association["SubnetId"]
    stack.project.run("refresh", "--yes", "--stack", STACK)
    assert stack.preview({}) == {"association": "create"}
    ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
    ec2.delete_route_table(RouteTableId=table)
    stack.up({})


def test_what_was_changed_by_hand_is_seen_by_a_refresh_and_put_right(stack: Everything) -> None:
    ec2, outputs = stack.cloud.client("ec2"), stack.project.outputs(STACK)
    stack.change({})
    assert "update" not in stack.project.run("refresh", "--yes", "--stack", STACK).printed
    drift = ("refresh", "--preview-only", "--expect-no-changes", "--stack", STACK)  # as CI looks for it
    stack.project.run(*drift)
    network = ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.79.0.0/24"]}])["Vpcs"][0]["VpcId"]
    ec2.create_tags(Resources=[network], Tags=[{"Key": "Name", "Value": "by hand"}])
    rule = next(
        rule
        for rule in ec2.describe_security_group_rules()["SecurityGroupRules"]
        if rule.get("FromPort") == 22
    )
    ec2.revoke_security_group_ingress(
        GroupId=rule["GroupId"], SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
    )
    ec2.terminate_instances(InstanceIds=[outputs["instance"]])
    assert stack.project.run(*drift, check=False).returncode
    stack.project.run("refresh", "--yes", "--stack", STACK)
    assert stack.preview({}) == {"vpc": "update", "in": "create", "instance": "create"}
    stack.up({})
    assert stack.project.outputs(STACK)["address"] == "10.79.0.11"


def test_a_refusal_names_the_resource_and_awss_own_code(stack: Everything) -> None:
    stack.cloud.state.sold_out.add(("p5.48xlarge", "us-east-1a"))
    stack.cloud.client("ec2").terminate_instances(InstanceIds=[stack.project.outputs(STACK)["instance"]])
    stack.change({})
    stack.project.run("refresh", "--yes", "--stack", STACK)
    failed = stack.project.up(STACK, check=False)
    assert failed.returncode
    assert "api error InsufficientInstanceCapacity" in failed.printed
    stack.cloud.state.sold_out.clear()
    stack.up({})


def test_a_property_that_is_not_served_is_refused(stack: Everything) -> None:
    stack.change({"vpc": {"ipv4_ipam_pool_id": "ipam-pool-1"}})
    refusal = stack.project.preview(STACK, check=False)
    assert refusal.returncode
    assert "the stand-in does not serve this property" in refusal.printed


def test_without_credentials_a_preview_says_so(stack: Everything) -> None:
    stack.change({})
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    refusal = stack.project.preview(STACK, check=False, **nobody)
    assert refusal.returncode
    assert "No valid credential sources found" in refusal.printed
