"""Endpoints of AWS's own services, which need no way out: S3 always, the others in place of a NAT gateway."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2

from components.aws.labels import Labels
from components.aws.network import Subnets
from planning.aws.network import Network as PlannedNetwork


@dataclass(frozen=True)
class EndpointsArgs:
    """Arguments of `Endpoints`."""

    network: PlannedNetwork
    subnets: Subnets
    group: pulumi.Input[str]
    """Security group of the endpoints."""
    tables: Sequence[pulumi.Input[str]]
    """Of the routes that lead to S3."""
    labels: Labels


class Endpoints(pulumi.ComponentResource):
    """S3's gateway, which costs nothing, and planned endpoints of the services that a node asks."""

    all: list[pulumi.Resource]

    def __init__(self, name: str, args: EndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:aws:Endpoints", name, None, opts)
        self._args, self._child = args, pulumi.ResourceOptions(parent=self)
        storage = ec2.VpcEndpoint(
            "s3",
            vpc_id=args.subnets.vpc,
            service_name=self._service("s3"),
            vpc_endpoint_type="Gateway",
            route_table_ids=args.tables,
            tags=args.labels.of("s3"),
            opts=self._child,
        )
        self.all = [
            storage,
            *(self._inside(service, address) for service, address in args.network.endpoints.items()),
        ]
        self.register_outputs({})

    def _inside(self, service: str, address: str) -> ec2.VpcEndpoint:
        return ec2.VpcEndpoint(
            service,
            vpc_id=self._args.subnets.vpc,
            service_name=self._service(service),
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=[self._args.subnets.public],
            subnet_configurations=[{"subnet_id": self._args.subnets.public, "ipv4": address}],
            security_group_ids=[self._args.group],
            tags=self._args.labels.of(service),
            opts=self._child,
        )

    def _service(self, service: str) -> str:
        return f"com.amazonaws.{self._args.network.region}.{service}"
