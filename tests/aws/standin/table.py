"""The resource types that the stand-in serves, by their token."""

from collections.abc import Mapping
from typing import Final

from tests.aws.standin import access, instances, network
from tests.aws.standin.kinds import Kind
from tests.aws.standin.rules import Rule

KINDS: Final[Mapping[str, Kind]] = {
    "aws:ec2/vpc:Vpc": network.VPC.kind(),
    "aws:ec2/internetGateway:InternetGateway": network.INTERNET_GATEWAY.kind(),
    "aws:ec2/subnet:Subnet": network.SUBNET.kind(),
    "aws:ec2/eip:Eip": network.ELASTIC_IP.kind(),
    "aws:ec2/natGateway:NatGateway": network.NAT_GATEWAY.kind(),
    "aws:ec2/routeTable:RouteTable": network.ROUTE_TABLE.kind(),
    "aws:ec2/route:Route": network.ROUTE,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": network.ROUTE_TABLE_ASSOCIATION,
    "aws:ec2/vpcEndpoint:VpcEndpoint": network.VPC_ENDPOINT.kind(),
    "aws:ec2/placementGroup:PlacementGroup": network.PLACEMENT_GROUP.kind(),
    "aws:ec2/securityGroup:SecurityGroup": network.SECURITY_GROUP.kind(),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Rule("ingress").kind(),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Rule("egress").kind(),
    "aws:ec2/keyPair:KeyPair": network.KEY_PAIR.kind(),
    "aws:ec2/networkInterface:NetworkInterface": network.NETWORK_INTERFACE.kind(),
    "aws:ec2/eipAssociation:EipAssociation": network.EIP_ASSOCIATION,
    "aws:ec2/launchTemplate:LaunchTemplate": instances.LAUNCH_TEMPLATE,
    "aws:ec2/instance:Instance": instances.INSTANCE,
    "aws:iam/role:Role": access.ROLE,
    "aws:iam/rolePolicy:RolePolicy": access.ROLE_POLICY,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": access.ROLE_POLICY_ATTACHMENT,
    "aws:iam/instanceProfile:InstanceProfile": access.INSTANCE_PROFILE,
}
