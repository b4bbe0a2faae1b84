"""Requirements of a plan on the AWS account: instances, network, addresses, image. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from account.quotas import QuotaOption, family
from planning.aws.catalogue import INSTANCE_TYPES
from planning.aws.egress import Need, is_s3, needs
from planning.aws.images import PARAMETER
from planning.aws.network import addresses, admins, clients, network
from planning.aws.target import required_aws_target
from planning.values import Plan
from settings.aws.target import AwsTarget, PurchaseOption


@dataclass(frozen=True)
class Batch:
    """Instances of one type."""

    key: str
    """Key of the stack file that names the type."""
    type: str
    count: int
    option: PurchaseOption

    @property
    def vcpus(self) -> int:
        """Return the vCPUs of all instances, which quotas count."""
        return self.count * INSTANCE_TYPES[self.type].vcpus

    @property
    def quota_option(self) -> QuotaOption | None:
        """Return the purchase option that a vCPU quota counts; None for reserved capacity."""
        return self.option if self.option in ("on-demand", "spot") else None


@dataclass(frozen=True)
class Requirements:
    """Everything that a plan requires of the account."""

    region: str
    zone: str
    batches: tuple[Batch, ...]
    """The GPU nodes, then a dedicated head."""
    reservation: str | None
    placement_group: str | None
    vpc: str | None
    subnet: str | None
    cidr: str
    elastic_ips: int
    image: str
    """Id of an image, or name of the SSM parameter that holds one."""
    volume_gib: int
    """Size of each root volume."""
    vpcs: int
    """Number of VPCs that the stack creates."""
    nodes: Mapping[str, str]
    """Planned address of each node."""
    first_address: int
    public_ranges: tuple[str, ...]
    """Ranges of administrators and clients that connect to a public head."""
    public_head: bool
    downloads: tuple[str, ...]
    """Downloads of `up` from the internet, as shown to users."""

    @property
    def types(self) -> tuple[str, ...]:
        """Return the distinct instance types."""
        return tuple(dict.fromkeys(batch.type for batch in self.batches))

    @property
    def quotas(self) -> tuple[str, ...]:
        """Return the distinct codes of the vCPU quotas that apply."""
        codes = [
            code
            for batch in self.batches
            if batch.quota_option and (counting := family(batch.type))
            for code in counting.codes[batch.quota_option]
        ]
        return tuple(dict.fromkeys(codes))


def requirements_of(plan: Plan) -> Requirements:
    """Return the requirements of a plan. Raises TypeError if its target is not aws."""
    target = required_aws_target(plan.settings)
    layout = network(target)
    return Requirements(
        region=layout.region,
        zone=layout.zone,
        batches=_batches(plan, target),
        reservation=target.purchase.reservation_id,
        placement_group=target.placement_group,
        vpc=target.network.vpc_id,
        subnet=target.network.subnet_id,
        cidr=layout.cidr,
        elastic_ips=layout.public_head + (layout.gateway is not None),
        image=target.ami.id or PARAMETER,
        volume_gib=target.volume.size_gib,
        vpcs=int(target.network.vpc_id is None),
        nodes=addresses(target, plan.nodes),
        first_address=target.network.first_address,
        public_ranges=tuple(dict.fromkeys([*admins(target), *clients(target)])) if layout.public_head else (),
        public_head=layout.public_head,
        downloads=tuple(
            dict.fromkeys(need.what for need in needs(plan.settings) if not _on_s3(need, layout.region))
        ),
    )


def _on_s3(need: Need, region: str) -> bool:
    return need.url is not None and is_s3(need.url, region)


def _batches(plan: Plan, target: AwsTarget) -> tuple[Batch, ...]:
    """Return the workers' batch, and that of a dedicated head, which is always on demand."""
    workers = sum(node.gpus > 0 for node in plan.nodes)
    heads = len(plan.nodes) - workers
    batches = [Batch("target.instanceType", target.instance_type, workers, target.purchase.option)]
    if heads:
        batches.append(Batch("target.headInstanceType", target.head_instance_type, heads, "on-demand"))
    return tuple(batches)
