"""Types for AWS values: regions, zones, ids, names, ranges and tags."""

import ipaddress
import re
from difflib import get_close_matches
from typing import Annotated, Final

from pydantic import AfterValidator

from settings.addresses import PRIVATE, PRIVATE_WORDS, NetworkRange
from settings.aws.regions import REGIONS, partition
from settings.section import Argument, wrong

OWN_TAGS: Final = "dynamo-multinode:"
"""Prefix of the tags that the program itself sets."""

SMALLEST_NETWORK: Final = 25
SMALLEST_SUBNET: Final = 28
LARGEST_NETWORK: Final = 16
"""Prefix lengths of the range of the nodes' addresses; EC2 allows a VPC of /16 to /28."""

WIDEST_RANGE: Final = 8
"""Prefix length of the widest range that may be let in, except 0.0.0.0/0."""

_INSTANCE_TYPE: Final = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")
_ZONE: Final = re.compile(r"([a-z]{2,4}(?:-[a-z]+)+-\d)(?:[a-z]|-[a-z]{3}-\d[a-z]|-wl\d-[a-z]{3}-wlz-\d)")
"""Zones of a region, Local Zones (`us-west-2-lax-1a`) and Wavelength (`us-east-1-wl1-bos-wlz-1`)."""

_ZONE_ID: Final = re.compile(r"[a-z]{3,4}\d-[a-z]+\d+(-az\d)?")
_TAG: Final = re.compile(r"[\w .:/=+@-]*")
_TAG_WORDS: Final = "letters, digits, spaces and . : / = + - @ _"
_TAG_KEY_LONGEST: Final = 128
_TAG_VALUE_LONGEST: Final = 256
_PROFILE: Final = re.compile(r"[A-Za-z0-9_+=,.@-]{1,128}")
_KMS_KEY: Final = re.compile(
    r"(?:arn:(?P<partition>aws[a-z-]*):kms:(?P<region>[a-z0-9-]+):\d{12}:"
    r"(?:key/)?)?(?P<key>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}|alias/[A-Za-z0-9/_-]{1,250})"
)


def _matching(pattern: re.Pattern[str], expected: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise wrong(f"expected {expected}")
        return text

    return AfterValidator(check)


def _id(prefix: str, noun: str) -> AfterValidator:
    pattern = re.compile(rf"{prefix}-[0-9a-f]{{8,17}}")
    return _matching(pattern, f"{noun} such as {prefix}-0123456789abcdef0")


def _network(text: str) -> str:
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        raise wrong("expected an IPv4 range such as 10.42.0.0/16") from None
    if text.partition("/")[0] != str(network.network_address):
        raise wrong(f"has host bits set; write {network}: expected an IPv4 range such as 10.42.0.0/16")
    return str(network)


def range_of_ones_own(network: ipaddress.IPv4Network) -> None:
    """Refuse a range that the stack's own VPC cannot have."""
    if not any(network.subnet_of(block) for block in PRIVATE):
        raise wrong(f"expected a private range: of {PRIVATE_WORDS}")
    if not LARGEST_NETWORK <= network.prefixlen <= SMALLEST_NETWORK:
        raise wrong(f"expected a range of /{LARGEST_NETWORK} to /{SMALLEST_NETWORK}")


def range_of_a_subnet(network: ipaddress.IPv4Network) -> None:
    """Refuse a range that no existing subnet can have. Public ranges are allowed: some subnets use them."""
    if not LARGEST_NETWORK <= network.prefixlen <= SMALLEST_SUBNET:
        raise wrong(f"expected the subnet's range, of /{LARGEST_NETWORK} to /{SMALLEST_SUBNET}")
    if network.is_multicast or network.is_reserved or network.is_loopback or network.is_link_local:
        raise wrong("expected the subnet's range: no subnet has this one")


def _public_range(text: str) -> str:
    if ":" in text:
        raise wrong("expected an IPv4 range: the nodes have no IPv6 addresses")
    return text


def _narrow_or_all(ranges: list[str]) -> list[str]:
    """Refuse ranges too wide for one network, several of which would together let in everybody."""
    for text in ranges:
        if 0 < ipaddress.IPv4Network(text).prefixlen < WIDEST_RANGE:
            raise wrong(
                f"{text} is too wide to be anybody's; write ranges of /{WIDEST_RANGE} and narrower, or "
                "0.0.0.0/0 with `openToTheWorld: true` for everybody"
            )
    return ranges


def _tag_key(key: str) -> str:
    if not _TAG.fullmatch(key) or not 0 < len(key) <= _TAG_KEY_LONGEST:
        raise wrong(f"expected a tag's key of at most {_TAG_KEY_LONGEST} characters: {_TAG_WORDS}")
    if key == "Name" or key.lower().startswith(("aws:", OWN_TAGS)):
        raise wrong("is set by AWS or by this program; take another key")
    return key


def _tag_value(value: str) -> str:
    if not _TAG.fullmatch(value) or len(value) > _TAG_VALUE_LONGEST:
        raise wrong(
            f"expected a tag's value of at most {_TAG_VALUE_LONGEST} characters: {_TAG_WORDS}, as IAM takes"
        )
    return value


def _region(text: str) -> str:
    if text not in REGIONS:
        matches = get_close_matches(text.lower(), sorted(REGIONS), n=1)
        suggestion = f"; did you mean {matches[0]}?" if matches else ""
        raise wrong(f"expected an AWS region such as us-east-1{suggestion}")
    return text


def _zone(text: str) -> str:
    if _ZONE_ID.fullmatch(text):
        raise wrong("expected the zone's name, such as us-east-1a: this is its id, which names no region")
    if not _ZONE.fullmatch(text):
        raise wrong("expected an availability zone such as us-east-1a")
    return text


def _key_pair(name: str) -> str:
    if re.fullmatch(r"key-[0-9a-f]{8,17}", name):
        raise wrong("expected the name of a key pair: this is its id")
    if "/" in name or name.startswith(("~", "ssh-", "ecdsa-")) or name.endswith((".pem", ".pub")):
        raise wrong("expected the name of a key pair in EC2, such as my-key: no file and no key")
    return _ascii(name, "a key pair")


def _instance_profile(name: str) -> str:
    if name.startswith("arn:"):
        raise wrong("expected the name of an instance profile, the last part of its ARN")
    if not _PROFILE.fullmatch(name):
        raise wrong("expected the name of an instance profile: letters, digits and + = , . @ - _")
    return name


def _placement_group(name: str) -> str:
    if name.startswith("arn:") or re.fullmatch(r"pg-[0-9a-f]{8,17}", name):
        raise wrong("expected the name of a placement group: this is its id or ARN")
    return _ascii(name, "a placement group")


def _ascii(name: str, noun: str) -> str:
    if not name.isascii():
        raise wrong(f"expected the name of {noun}, of ASCII characters")
    return name


def _kms_key(text: str) -> str:
    if not _KMS_KEY.fullmatch(text):
        raise wrong("expected a KMS key: its id, `alias/NAME`, or the ARN of either")
    return text


InstanceType = Annotated[str, _matching(_INSTANCE_TYPE, "an EC2 instance type such as p5.48xlarge")]
Region = Annotated[str, AfterValidator(_region)]
Zone = Annotated[str, AfterValidator(_zone)]
PublicRanges = Annotated[
    list[Annotated[NetworkRange, AfterValidator(_public_range)]], AfterValidator(_narrow_or_all)
]
NetworkCidr = Annotated[str, AfterValidator(_network)]
KeyPair = Annotated[Argument, AfterValidator(_key_pair)]
InstanceProfile = Annotated[Argument, AfterValidator(_instance_profile)]
PlacementGroup = Annotated[Argument, AfterValidator(_placement_group)]
KmsKey = Annotated[Argument, AfterValidator(_kms_key)]
VpcId = Annotated[str, _id("vpc", "the id of a VPC")]
SubnetId = Annotated[str, _id("subnet", "the id of a subnet")]
ImageId = Annotated[str, _id("ami", "the id of an image")]
ReservationId = Annotated[str, _id("cr", "the id of a capacity reservation or block")]
TagKey = Annotated[str, AfterValidator(_tag_key)]
TagValue = Annotated[str, AfterValidator(_tag_value)]


def region_of(zone: str) -> str:
    """Return the region of a zone, from its name."""
    match = _ZONE.fullmatch(zone)
    return match[1] if match else zone


def ill_placed_key(key: str, region: str) -> str | None:
    """Return the reason why a KMS key cannot encrypt volumes of a region; None if it can."""
    match = _KMS_KEY.fullmatch(key)
    if match is None or match["region"] is None:
        return None
    if match["region"] != region:
        return f"is a key of {match['region']}; expected one of {region}"
    if match["partition"] != partition(region):
        return f"is an ARN of `{match['partition']}`; expected `{partition(region)}`, that of {region}"
    return None
