"""The instances that a plan needs of the account: how many, of which types, bought how, where. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from account.quotas import Counted, family
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
        """Return what quotas count of all of them."""
        return self.count * INSTANCE_TYPES[self.type].vcpus

    @property
    def counted(self) -> Counted | None:
        """Return as what a quota of vCPUs counts them; None where they are reserved."""
        return self.option if self.option in ("on-demand", "spot") else None


@dataclass(frozen=True)
class Wanted:
    """What the account is asked for."""

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
    """Id of an image, or name of the parameter that holds one."""
    volume_gib: int
    """Size of each root volume."""
    vpcs: int
    """That the stack makes."""
    nodes: Mapping[str, str]
    """Planned address of each node."""
    first_address: int
    outside: tuple[str, ...]
    """Ranges that ask the head from outside, where it has a public address."""
    public_head: bool
    fetched: tuple[str, ...]
    """What `up` fetches from the internet, for a reader."""

    @property
    def types(self) -> tuple[str, ...]:
        """Return the instance types, each once."""
        return tuple(dict.fromkeys(batch.type for batch in self.batches))

    @property
    def quotas(self) -> tuple[str, ...]:
        """Return the codes of the vCPU quotas that count, each once."""
        found = [
            code
            for batch in self.batches
            if batch.counted and (counting := family(batch.type))
            for code in counting.codes[batch.counted]
        ]
        return tuple(dict.fromkeys(found))


def wanted(plan: Plan) -> Wanted:
    """Return what `plan` wants. Its target is aws."""
    target = required_aws_target(plan.settings)
    where = network(target)
    return Wanted(
        region=where.region,
        zone=where.zone,
        batches=_batches(plan, target),
        reservation=target.purchase.reservation_id,
        placement_group=target.placement_group,
        vpc=target.network.vpc_id,
        subnet=target.network.subnet_id,
        cidr=where.cidr,
        elastic_ips=where.public_head + (where.gateway is not None),
        image=target.ami.id or PARAMETER,
        volume_gib=target.volume.size_gib,
        vpcs=int(target.network.vpc_id is None),
        nodes=addresses(target, plan.nodes),
        first_address=target.network.first_address,
        outside=tuple(dict.fromkeys([*admins(target), *clients(target)])) if where.public_head else (),
        public_head=where.public_head,
        fetched=tuple(
            dict.fromkeys(need.what for need in needs(plan.settings) if not _on_s3(need, where.region))
        ),
    )


def _on_s3(need: Need, region: str) -> bool:
    return need.url is not None and is_s3(need.url, region)


def _batches(plan: Plan, target: AwsTarget) -> tuple[Batch, ...]:
    """Return workers as they are bought, and a dedicated head, which is on demand whatever they are."""
    workers = sum(node.gpus > 0 for node in plan.nodes)
    heads = len(plan.nodes) - workers
    found = [Batch("target.instanceType", target.instance_type, workers, target.purchase.option)]
    if heads:
        found.append(Batch("target.headInstanceType", target.head_instance_type, heads, "on-demand"))
    return tuple(found)
