"""The stack file's `target` of `kind: aws`: GPU instances, their network and who may reach them."""

import ipaddress
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from settings.aws.forms import (
    ImageId,
    InstanceProfile,
    InstanceType,
    KeyPair,
    KmsKey,
    NetworkCidr,
    PlacementGroup,
    PublicRanges,
    Region,
    ReservationId,
    SubnetId,
    TagKey,
    TagValue,
    VpcId,
    Zone,
    ill_placed_key,
    range_of_a_subnet,
    range_of_ones_own,
    region_of,
)
from settings.section import Argument, Section, UserName, wrong
from settings.targets import Device, FirewallSettings

PurchaseOption = Literal["on-demand", "spot", "capacity-block", "reservation"]
Access = Literal["proxy", "ssm"]
Egress = Literal["nat", "endpoints"]

WORLD: Final = ("0.0.0.0/0", "::/0")
TAGS_MOST: Final = 46
"""EC2 allows 50, and four are the program's own."""

_MINUTES_MOST: Final = 60 * 24 * 365
_IOPS_PER_GIB: Final = 500
_IOPS_PER_MIBPS: Final = 4
"""Limits of gp3 volumes: most IOPS per GiB, and least IOPS per MiB/s of throughput."""


def _few_tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > TAGS_MOST:
        raise wrong(f"has {len(tags)} tags, expected at most {TAGS_MOST}; remove some")
    return tags


def _short(key: str, accepted: Any) -> BeforeValidator:
    """Accept text for a section, as the value of its `key`; `accepted` is the type in the JSON schema."""

    def spread(value: Any) -> Any:
        return {key: value} if isinstance(value, str) else value

    return BeforeValidator(spread, json_schema_input_type=accepted)


Minutes = Annotated[int, Field(ge=5, le=_MINUTES_MOST)]
Tags = Annotated[dict[TagKey, TagValue], AfterValidator(_few_tags)]


class NetworkSettings(Section):
    """The network: the stack's own, or an existing VPC and subnet by id."""

    vpc_id: VpcId | None = Field(default=None, description="an existing VPC; needs `subnetId` and `cidr`")
    subnet_id: SubnetId | None = Field(
        default=None,
        validate_default=True,
        description="an existing subnet for all nodes, with its own routes out",
    )
    cidr: NetworkCidr = Field(
        default="10.42.0.0/16",
        description="range of the stack's own VPC; with `subnetId`: the range of that subnet",
    )
    first_address: int = Field(
        default=11,
        ge=4,
        le=60000,
        description="the first node's address, counted from the start of the range",
    )
    public_head: bool | None = Field(
        default=None,
        description="whether the head gets an Elastic IP; default: in the stack's own network, "
        "where somebody may come from outside",
    )
    egress: Egress = Field(
        default="nat",
        description="`nat`: a NAT gateway; `endpoints`: S3, Session Manager and EC2, nothing else, "
        "for golden images",
    )

    @field_validator("subnet_id")
    @classmethod
    def _an_existing_network_is_named_in_full(cls, subnet: str | None, info: ValidationInfo) -> str | None:
        vpc = info.data.get("vpc_id", subnet)  # one that is wrong is there
        if subnet is not None and vpc is None:
            raise wrong("needs the VPC that it is in; add `vpcId: vpc-…`")
        if subnet is None and vpc is not None:
            raise wrong("missing: an existing VPC needs the subnet for the nodes; add `subnetId: subnet-…`")
        return subnet

    @field_validator("cidr")
    @classmethod
    def _the_range_fits_its_network(cls, cidr: str, info: ValidationInfo) -> str:
        if "subnet_id" not in info.data:
            return cidr
        existing = info.data["subnet_id"] is not None
        (range_of_a_subnet if existing else range_of_ones_own)(ipaddress.IPv4Network(cidr))
        return cidr

    @field_validator("egress")
    @classmethod
    def _an_existing_subnet_has_its_own_way_out(cls, egress: Egress, info: ValidationInfo) -> Egress:
        if egress == "endpoints" and info.data.get("subnet_id") is not None:
            raise wrong("does not go with `subnetId`, which has its own routes out; remove it")
        return egress


class PurchaseSettings(Section):
    """Purchase of capacity; `purchase: spot` is short for `{option: spot}`."""

    option: PurchaseOption = Field(
        default="on-demand",
        description="`on-demand`, `spot`, `capacity-block` (bought ahead), or `reservation` "
        "(on-demand capacity reservation)",
    )
    reservation_id: ReservationId | None = Field(
        default=None,
        validate_default=True,
        description="the reservation, for `capacity-block` and `reservation`",
    )

    @field_validator("reservation_id")
    @classmethod
    def _reserved_capacity_is_named(cls, reservation: str | None, info: ValidationInfo) -> str | None:
        option = info.data.get("option")
        if option in ("capacity-block", "reservation") and reservation is None:
            raise wrong(f"missing: `option: {option}` needs it; add `reservationId: cr-…`")
        if option in ("on-demand", "spot") and reservation is not None:
            raise wrong(f"does not go with `option: {option}`; write `option: reservation` or remove it")
        return reservation


class AmiSettings(Section):
    """The machine image; `ami: ami-…` is short for `{id: ami-…}`."""

    id: ImageId | None = Field(
        default=None, description="an image of yours, in place of AWS's Deep Learning Base AMI"
    )
    release: Argument = Field(
        default="1",
        description="any text: the newest Deep Learning AMI is looked up when this changes, never by itself",
    )
    user: UserName = Field(default="ubuntu", description="the image's user, who may use sudo")


class VolumeSettings(Section):
    """The root volume of each instance: gp3, encrypted."""

    size_gib: int = Field(default=200, ge=50, le=16384, description="size in GiB")
    iops: int = Field(default=6000, ge=3000, le=80000, description="input and output operations a second")
    throughput: int = Field(default=500, ge=125, le=2000, description="MiB a second")

    @field_validator("iops")
    @classmethod
    def _the_volume_is_large_enough(cls, iops: int, info: ValidationInfo) -> int:
        size = info.data.get("size_gib")
        if size is not None and iops > size * _IOPS_PER_GIB:
            raise wrong(f"expected at most {size * _IOPS_PER_GIB} of {size} GiB; lower it or raise `sizeGib`")
        return iops

    @field_validator("throughput")
    @classmethod
    def _operations_carry_the_throughput(cls, throughput: int, info: ValidationInfo) -> int:
        iops = info.data.get("iops")
        if iops is not None and throughput * _IOPS_PER_MIBPS > iops:
            raise wrong(f"expected at most {iops // _IOPS_PER_MIBPS} with `iops: {iops}`; raise `iops`")
        return throughput


class LifetimeSettings(Section):
    """Limits after which instances end by themselves, without a command from outside."""

    max_minutes: Minutes | None = Field(default=None, description="minutes after their boot")
    idle_minutes: Minutes | None = Field(
        default=None, description="minutes after the last request that the frontend answered"
    )
    warn_minutes: Annotated[int, Field(ge=1, le=120)] = Field(
        default=10,
        validate_default=True,
        description="how long before it is said, in the journal and to who is logged in",
    )
    action: Literal["terminate", "stop"] = Field(
        default="terminate", description="`stop` keeps disks; on-demand and reservations only"
    )

    @field_validator("warn_minutes")
    @classmethod
    def _a_warning_comes_before_the_end(cls, warn: int, info: ValidationInfo) -> int:
        for key, name in (("max_minutes", "maxMinutes"), ("idle_minutes", "idleMinutes")):
            minutes = info.data.get(key)
            if minutes is not None and warn >= minutes:
                raise wrong(f"expected less than `{name}: {minutes}`; lower it")
        return warn


class AwsTarget(Section):
    """GPU instances on AWS, in their own network and placement group."""

    kind: Literal["aws"] = Field(description="GPU instances on AWS")
    instance_type: InstanceType = Field(description="GPU instance type", examples=["p5.48xlarge"])
    head_instance_type: InstanceType = Field(
        default="m7i.2xlarge", description="type of the head with `head: dedicated`"
    )
    region: Region | None = Field(default=None, description="region; default: `aws:region` of the stack file")
    zone: Zone | None = Field(
        default=None,
        description="availability zone; default: the region's first; of reserved capacity: needed",
    )
    purchase: Annotated[PurchaseSettings, _short("option", PurchaseOption | PurchaseSettings)] = Field(
        default=PurchaseSettings(), description="how capacity is bought"
    )
    placement_group: PlacementGroup | None = Field(
        default=None, description="an existing cluster placement group, such as the reservation's own"
    )
    network: NetworkSettings = Field(default=NetworkSettings(), description="VPC and subnet")
    access: Access = Field(
        default="proxy",
        description="`proxy`: SSH to the head and through it to the workers; `ssm`: Session Manager, "
        "no open port",
    )
    admin_ranges: PublicRanges = Field(
        default_factory=list,
        description="who may connect to SSH on the head",
        examples=[["203.0.113.7/32"]],
    )
    client_ranges: PublicRanges = Field(
        default_factory=list,
        description="who may ask the endpoint; default: `adminRanges`",
        examples=[["203.0.113.0/24"]],
    )
    open_to_the_world: bool = Field(
        default=False,
        validate_default=True,
        description="allows 0.0.0.0/0 in `clientRanges` and `adminRanges`",
    )
    efa: bool | None = Field(
        default=None, description="Elastic Fabric Adapter; default: where the instance type has it"
    )
    ami: Annotated[AmiSettings, _short("id", str | AmiSettings)] = Field(
        default=AmiSettings(), description="machine image"
    )
    volume: VolumeSettings = Field(default=VolumeSettings(), description="root volume")
    key_pair: KeyPair | None = Field(
        default=None,
        description="an existing key pair, whose private key you have; default: a key of the stack",
    )
    instance_profile: InstanceProfile | None = Field(
        default=None, description="an existing instance profile; default: one of the stack's own"
    )
    kms_key_id: KmsKey | None = Field(
        default=None, description="key that volumes are encrypted with; default: the account's"
    )
    lifetime: LifetimeSettings = Field(
        default=LifetimeSettings(), description="when instances end by themselves"
    )
    tags: Tags = Field(default_factory=dict, description="tags of everything that is created")
    allow_local_state: bool = Field(
        default=False,
        description="allows `up` with state on this machine, where a second clone would buy a second fleet",
    )

    on_this_machine: ClassVar[bool] = False
    device: ClassVar[Device] = "cuda"
    firewall: ClassVar[FirewallSettings] = FirewallSettings()

    @field_validator("zone")
    @classmethod
    def _the_zone_is_of_the_region(cls, zone: str | None, info: ValidationInfo) -> str | None:
        region = info.data.get("region")
        if zone is not None and region is not None and region_of(zone) != region:
            raise wrong(f"expected a zone of {region}, such as {region}a; or change the region")
        return zone

    @field_validator("placement_group")
    @classmethod
    def _capacity_blocks_have_a_place_of_their_own(
        cls, group: str | None, info: ValidationInfo
    ) -> str | None:
        purchase = info.data.get("purchase")
        if group is not None and purchase is not None and purchase.option == "capacity-block":
            raise wrong("does not go with `option: capacity-block`, which EC2 places by itself; remove it")
        return group

    @field_validator("kms_key_id")
    @classmethod
    def _the_key_is_of_the_region(cls, key: str | None, info: ValidationInfo) -> str | None:
        region = info.data.get("region")
        if key is not None and region is not None and (reason := ill_placed_key(key, region)):
            raise wrong(reason)
        return key

    @field_validator("lifetime")
    @classmethod
    def _only_what_is_kept_can_stop(
        cls, lifetime: LifetimeSettings, info: ValidationInfo
    ) -> LifetimeSettings:
        purchase = info.data.get("purchase")
        if lifetime.action == "stop" and purchase and purchase.option in ("spot", "capacity-block"):
            raise wrong(
                f"`action: stop` does not go with `option: {purchase.option}`: EC2 cannot stop it; "
                "write `action: terminate`"
            )
        return lifetime

    @field_validator("open_to_the_world")
    @classmethod
    def _the_world_is_let_in_on_purpose(cls, allowed: bool, info: ValidationInfo) -> bool:
        for key, name in (("admin_ranges", "adminRanges"), ("client_ranges", "clientRanges")):
            world = [text for text in info.data.get(key) or [] if text in WORLD]
            if world and not allowed:
                raise wrong(
                    f"{name} has {world[0]}, which is everybody: name ranges, or write true if you mean it"
                )
        return allowed
