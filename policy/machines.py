"""Rules about instances, launch templates, volumes, interfaces and public addresses."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from policy.resource import UNKNOWN, Resource, is_on, items, texts
from policy.tags import ROLE, tag

LAUNCH_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
INSTANCES: Final = ("aws:ec2/instance:Instance", "aws:ec2/spotInstanceRequest:SpotInstanceRequest")
VOLUME: Final = "aws:ebs/volume:Volume"
SUBNET: Final = "aws:ec2/subnet:Subnet"
ELASTIC_IP: Final = "aws:ec2/eip:Eip"
ASSOCIATION: Final = "aws:ec2/eipAssociation:EipAssociation"
INTERFACE: Final = "aws:ec2/networkInterface:NetworkInterface"

PUBLIC_ROLES: Final = ("head", "nat")
_MAX_HOPS: Final = 2
"""One for the host, one more for a container on it."""

_CREDENTIALS: Final = {
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "an AWS secret key": re.compile(r"aws_secret_access_key\s*[=:]", re.IGNORECASE),
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}\b"),
}


def metadata_needs_a_token(resource: Resource) -> Iterator[str]:
    """Refuse version 1 of the instance metadata service, which answers any request."""
    if not (resource.kind == LAUNCH_TEMPLATE or _stands_alone(resource)):
        return
    remedy = "set `metadataOptions` with httpTokens `required`"
    if resource.props.get("metadataOptions") is UNKNOWN:
        return
    options = resource.items("metadataOptions")
    if not options:
        yield f"says nothing about the metadata service, so IMDSv1 may answer; {remedy}"
    for option in options:
        if option.get("httpEndpoint") == "disabled":
            continue
        if option.get("httpTokens") not in ("required", UNKNOWN):
            yield f"lets IMDSv1 answer (httpTokens is {option.get('httpTokens', 'not set')}); {remedy}"
        hops = option.get("httpPutResponseHopLimit")
        if isinstance(hops, int | float) and hops > _MAX_HOPS:
            yield f"lets metadata travel {hops:g} hops; set httpPutResponseHopLimit to {_MAX_HOPS} at most"


def volumes_are_encrypted(resource: Resource) -> Iterator[str]:
    """Refuse volumes that are not encrypted, and those left to the image, which mostly are not."""
    if resource.kind == LAUNCH_TEMPLATE:
        yield from _mapped_volumes(resource)
    elif resource.kind == VOLUME:
        yield from _volume(resource.props, "the volume")
    elif _stands_alone(resource):
        roots = resource.items("rootBlockDevice")
        if not roots and resource.props.get("rootBlockDevice") is not UNKNOWN:
            yield (
                "leaves the encryption of its root volume to the image; "
                "set `rootBlockDevice: {encrypted: true}`"
            )
        for volume in (*roots, *resource.items("ebsBlockDevices")):
            yield from _volume(volume, str(volume.get("deviceName", "the root volume")))


def no_address_is_public_by_itself(resource: Resource) -> Iterator[str]:
    """Refuse machines and subnets that assign public addresses by themselves: workers have none."""
    if resource.kind == SUBNET:
        for key in ("mapPublicIpOnLaunch", "assignIpv6AddressOnCreation"):
            if is_on(resource.props.get(key)):
                yield f"gives everything in it a public address; remove `{key}`"
    interfaces = [resource.props] if resource.kind in INSTANCES else []
    if resource.kind == LAUNCH_TEMPLATE:
        interfaces = resource.items("networkInterfaces")
    if any(is_on(interface.get("associatePublicIpAddress")) for interface in interfaces):
        yield (
            "gives the machine a public address; remove `associatePublicIpAddress` and reach it through "
            "the head, or give the head an Elastic IP (`network.publicHead`)"
        )


def elastic_addresses_are_for_head_and_gateway(resource: Resource) -> Iterator[str]:
    """Refuse Elastic IPs without the tag of the head or the NAT gateway."""
    if resource.kind != ELASTIC_IP:
        return
    role = tag(resource, ROLE)
    if role is not UNKNOWN and role not in PUBLIC_ROLES:
        yield (
            f"is an Elastic IP of {role or 'nobody known'}; only the head and the NAT gateway have one, "
            f"and the tag `{ROLE}` says which: {' or '.join(PUBLIC_ROLES)}"
        )


def no_worker_has_an_elastic_address(resource: Resource) -> Iterator[str]:
    """Refuse an Elastic IP for an interface or a machine that is not tagged as the head's."""
    if resource.kind not in (ASSOCIATION, ELASTIC_IP):
        return
    for key in ("networkInterface", "networkInterfaceId", "instance", "instanceId"):
        for machine in resource.dependencies.get(key, ()):
            role = tag(machine, ROLE)
            if machine.kind in (INTERFACE, *INSTANCES) and role not in ("head", UNKNOWN):
                yield (
                    f"gives {machine.name} a public address, and that is {role or 'nothing'} by its tag "
                    f"`{ROLE}`; only the head has one: reach workers through it"
                )


def user_data_holds_no_credentials(resource: Resource) -> Iterator[str]:
    """Refuse credentials in user data: every process on the machine reads it from the metadata service."""
    if resource.kind != LAUNCH_TEMPLATE and resource.kind not in INSTANCES:
        return
    encoded = texts(resource.props, "userDataBase64")
    if resource.kind == LAUNCH_TEMPLATE:
        encoded = texts(resource.props, "userData")
    plain = texts(resource.props, "userData") if resource.kind in INSTANCES else []
    for text in (*plain, *map(_decoded, encoded)):
        for secret, pattern in _CREDENTIALS.items():
            if pattern.search(text):
                yield (
                    f"has {secret} in its user data, which every process on the machine can read; "
                    "use the instance profile, or a secret of the stack, and revoke this one"
                )


def _stands_alone(resource: Resource) -> bool:
    """Return whether an instance has no launch template, which would be checked itself."""
    return resource.kind in INSTANCES and not resource.props.get("launchTemplate")


def _mapped_volumes(template: Resource) -> Iterator[str]:
    if template.props.get("blockDeviceMappings") is UNKNOWN:
        return
    volumes = [
        (str(mapping.get("deviceName")), volume)
        for mapping in template.items("blockDeviceMappings")
        for volume in items(mapping, "ebs")
    ]
    if not volumes:
        yield (
            "leaves the encryption of its volumes to the image; "
            "add `blockDeviceMappings` with `ebs: {encrypted: true}`"
        )
    for device, volume in volumes:
        yield from _volume(volume, device)


def _volume(volume: Mapping[str, Any], device: str) -> Iterator[str]:
    encrypted = volume.get("encrypted")
    if encrypted is not UNKNOWN and not is_on(encrypted):
        yield f"does not encrypt {device}; set `encrypted: true`"


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode(errors="replace")
    except binascii.Error:
        return text
