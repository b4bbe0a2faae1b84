"""A Pulumi program with a resource of every type that the stand-in serves; changes.json overrides inputs."""

import base64
import json
from pathlib import Path
from typing import Any

import pulumi
from pulumi_aws import ec2, iam, ssm, vpc

CHANGES = json.loads(Path("changes.json").read_text(encoding="utf-8"))
ROUTE = "0.0.0.0/0"


def inputs(name: str, **given: Any) -> dict[str, Any]:
    """Return a resource's inputs with the changes for it; None takes one away."""
    return {**given, **CHANGES.get(name, {})}


POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::models/*"}],
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
TAGS = {"Name": "everything"}
network = ec2.Vpc("vpc", **inputs("vpc", cidr_block="10.79.0.0/24", enable_dns_hostnames=True, tags=TAGS))
gateway = ec2.InternetGateway("gateway", **inputs("gateway", vpc_id=network.id, tags=TAGS))
subnet = ec2.Subnet(
    "subnet",
    **inputs(
        "subnet", vpc_id=network.id, cidr_block="10.79.0.0/25", availability_zone="us-east-1a", tags=TAGS
    ),
)
outside = ec2.Eip("outside", **inputs("outside", domain="vpc", tags=TAGS))
nat = ec2.NatGateway(
    "nat",
    **inputs("nat", allocation_id=outside.id, subnet_id=subnet.id, tags=TAGS),
    opts=pulumi.ResourceOptions(depends_on=[gateway]),
)
table = ec2.RouteTable("table", **inputs("table", vpc_id=network.id, tags=TAGS))
route = ec2.Route(
    "route",
    **inputs("route", route_table_id=table.id, destination_cidr_block=ROUTE, gateway_id=gateway.id),
)
ec2.RouteTableAssociation(
    "association", **inputs("association", subnet_id=subnet.id, route_table_id=table.id)
)
endpoint = ec2.VpcEndpoint(
    "endpoint",
    **inputs(
        "endpoint",
        vpc_id=network.id,
        service_name="com.amazonaws.us-east-1.s3",
        vpc_endpoint_type="Gateway",
        route_table_ids=[table.id],
        tags=TAGS,
    ),
)
near = ec2.PlacementGroup("near", **inputs("near", strategy="cluster", tags=TAGS))
group = ec2.SecurityGroup("group", **inputs("group", description="all", vpc_id=network.id, tags=TAGS))
vpc.SecurityGroupIngressRule(
    "in",
    **inputs(
        "in",
        security_group_id=group.id,
        ip_protocol="tcp",
        from_port=22,
        to_port=22,
        cidr_ipv4="10.0.0.0/8",
        description="SSH",
        tags=TAGS,
    ),
)
vpc.SecurityGroupEgressRule(
    "out",
    **inputs(
        "out",
        security_group_id=group.id,
        ip_protocol="-1",
        referenced_security_group_id=group.id,
        description="each other",
        tags=TAGS,
    ),
)
role = iam.Role(
    "role",
    **inputs(
        "role",
        assume_role_policy=json.dumps(TRUST),
        description="nodes",
        tags=TAGS,
    ),
)
iam.RolePolicy(
    "policy",
    **inputs("policy", role=role.id, policy=json.dumps(POLICY)),
)
iam.RolePolicyAttachment(
    "managed",
    **inputs("managed", role=role.name, policy_arn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"),
)
profile = iam.InstanceProfile("profile", **inputs("profile", role=role.name, tags=TAGS))
key = ec2.KeyPair("key", **inputs("key", public_key=Path("key.pub").read_text(encoding="utf-8"), tags=TAGS))
interface = ec2.NetworkInterface(
    "interface",
    **inputs(
        "interface",
        subnet_id=subnet.id,
        private_ips=["10.79.0.11"],
        security_groups=[group.id],
        description="node-1",
        tags=TAGS,
    ),
)
IMAGE = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
image = pulumi.Output.unsecret(ssm.get_parameter_output(name=IMAGE).value)
named = image.apply(lambda found: [ec2.GetAmiFilterArgs(name="image-id", values=[found])])
root = ec2.get_ami_output(filters=named).root_device_name
template = ec2.LaunchTemplate(
    "template",
    **inputs(
        "template",
        image_id=image,
        instance_type="p5.48xlarge",
        key_name=key.key_name,
        user_data=pulumi.Output.secret(base64.b64encode(b"#cloud-config\n{}\n# hush\n").decode()),
        iam_instance_profile={"name": profile.name},
        metadata_options={"http_tokens": "required", "http_put_response_hop_limit": 2},
        block_device_mappings=[
            {
                "device_name": root,
                "ebs": {"volume_size": 200, "encrypted": "true", "delete_on_termination": "true"},
            }
        ],
        network_interfaces=[
            {
                "device_index": 0,
                "network_card_index": 0,
                "network_interface_id": interface.id,
                "delete_on_termination": "false",
            },
            {
                "device_index": 0,
                "network_card_index": 1,
                "interface_type": "efa-only",
                "subnet_id": subnet.id,
                "security_groups": [group.id],
                "delete_on_termination": "true",
            },
        ],
        placement={"group_name": near.name},
        tag_specifications=[{"resource_type": "network-interface", "tags": TAGS}],
        update_default_version=True,
        tags=TAGS,
    ),
)
public = ec2.Eip("public", **inputs("public", domain="vpc", tags=TAGS))
led = ec2.EipAssociation(
    "led",
    **inputs("led", allocation_id=public.id, network_interface_id=interface.id),
    opts=pulumi.ResourceOptions(depends_on=[gateway]),
)
instance = ec2.Instance(
    "instance",
    **inputs(
        "instance",
        launch_template={"id": template.id, "version": "$Latest"},
        placement_group=near.name,
        tags=TAGS,
        volume_tags=TAGS,
    ),
    opts=pulumi.ResourceOptions(
        delete_before_replace=True,
        depends_on=[led],
        additional_secret_outputs=["userData", "userDataBase64"],
    ),
)
pulumi.export("root", root)
pulumi.export("instance", instance.id)
pulumi.export("address", instance.private_ip)
pulumi.export("public", public.public_ip)
pulumi.export("version", template.latest_version)
