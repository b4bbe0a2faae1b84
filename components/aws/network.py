"""The stack's own network: a VPC with the cluster's subnet, a public one, and the routes between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pulumi
from pulumi_aws import ec2

from components.aws.labels import Labels
from planning.aws.network import EVERYWHERE
from planning.aws.network import Network as PlannedNetwork


class Subnets(NamedTuple):
    """The subnets that instances are in: of the stack's own network, or of an existing one."""

    vpc: pulumi.Input[str]
    cluster: pulumi.Input[str]
    """Subnet of the GPU nodes."""
    public: pulumi.Input[str]
    """Subnet of a dedicated head."""
    routes: Sequence[pulumi.Resource]
    """Resources that must exist before an instance reaches anything, or is reached from outside."""
    cluster_subnet: pulumi.Resource | None
    public_subnet: pulumi.Resource | None
    """The subnets as resources; None in an existing network."""


@dataclass(frozen=True)
class NetworkArgs:
    """Arguments of `Network`."""

    network: PlannedNetwork
    labels: Labels


class Network(pulumi.ComponentResource):
    """A VPC whose cluster has a way out and, but for the head, no way in."""

    subnets: Subnets
    tables: list[pulumi.Output[str]]
    """Of the routes of both subnets."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:aws:Network", name, None, opts)
        self._args, self._child = args, pulumi.ResourceOptions(parent=self)
        self._routes: list[pulumi.Resource] = []
        planned_network, labels = args.network, args.labels
        self._vpc = ec2.Vpc(
            name,
            cidr_block=planned_network.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=labels.of("vpc"),
            opts=self._child,
        )
        internet = ec2.InternetGateway(
            name,
            vpc_id=self._vpc.id,
            tags=labels.of("internet"),
            # EC2 moves none away from a network that has public addresses
            opts=pulumi.ResourceOptions(parent=self, replace_on_changes=["vpcId"]),
        )
        public, public_table = self._subnet("public", planned_network.public or "")
        cluster, cluster_table = self._subnet("cluster", planned_network.cluster)
        self._route("public", public_table, EVERYWHERE, gateway_id=internet.id)
        for cidr in planned_network.direct:
            self._route(f"cluster-{cidr.replace('/', '-')}", cluster_table, cidr, gateway_id=internet.id)
        if planned_network.gateway:
            nat = self._nat(planned_network.gateway, public)
            self._route("cluster", cluster_table, EVERYWHERE, nat_gateway_id=nat.id)
        self.subnets = Subnets(self._vpc.id, cluster.id, public.id, self._routes, cluster, public)
        self.tables = [public_table.id, cluster_table.id]
        self.register_outputs({"vpc": self._vpc.id, "cluster": cluster.id, "public": public.id})

    def _subnet(self, name: str, cidr: str) -> tuple[ec2.Subnet, ec2.RouteTable]:
        """Create a subnet in the deployment's zone, and the table of its routes."""
        tags = self._args.labels.of(name)
        subnet = ec2.Subnet(
            name,
            vpc_id=self._vpc.id,
            availability_zone=self._args.network.zone,
            cidr_block=cidr,
            map_public_ip_on_launch=False,
            tags=tags,
            # another zone may want the same range
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        table = ec2.RouteTable(name, vpc_id=self._vpc.id, tags=tags, opts=self._child)
        self._routes.append(
            ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id, opts=self._child)
        )
        return subnet, table

    def _route(
        self,
        name: str,
        table: ec2.RouteTable,
        destination: str,
        *,
        gateway_id: pulumi.Input[str] | None = None,
        nat_gateway_id: pulumi.Input[str] | None = None,
    ) -> None:
        self._routes.append(
            ec2.Route(
                name,
                route_table_id=table.id,
                destination_cidr_block=destination,
                gateway_id=gateway_id,
                nat_gateway_id=nat_gateway_id,
                opts=self._child,
            )
        )

    def _nat(self, address: str, public: ec2.Subnet) -> ec2.NatGateway:
        """Create the cluster's way out; it works once its own subnet has one, as EC2 asks for."""
        labels = self._args.labels
        elastic_ip = ec2.Eip("nat", domain="vpc", tags=labels.of("nat", "nat"), opts=self._child)
        return ec2.NatGateway(
            "nat",
            allocation_id=elastic_ip.id,
            subnet_id=public.id,
            private_ip=address,
            tags=labels.of("nat"),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(self._routes),
                delete_before_replace=True,  # its Elastic IP is in use until then
            ),
        )
