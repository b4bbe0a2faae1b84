"""Where nodes come from: this machine, or machines of an inventory. `settings.aws` has instances on AWS."""

import ipaddress
import re
from collections import Counter
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from settings.section import USER_NAME, Count, NetworkRange, Section, UserName, wrong

FirewallMode = Literal["none", "manage"]

_NODE_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SSH_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:_-]{0,252}[A-Za-z0-9])?")
_HOST_KEY: Final = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}")


def _node_name(name: str) -> str:
    if not _NODE_NAME.fullmatch(name):
        raise wrong("expected a host name of a-z, 0-9 and -, at most 63 characters, such as gpu-1")
    return name


def _address(text: str) -> str:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise wrong("expected the IPv4 address that the other nodes reach it at, such as 10.0.0.11") from None
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        raise wrong("expected an address that the other nodes can reach")
    return text


def _ssh_host(text: str) -> str:
    if not _SSH_HOST.fullmatch(text):
        raise wrong("expected a host name or an address that SSH connects to, such as gpu-1.example.org")
    return text


def _host_key(text: str) -> str:
    if not _HOST_KEY.fullmatch(text):
        raise wrong(
            "expected type and key, such as `ssh-ed25519 AAAAC3…`: the first two words of the host's "
            "/etc/ssh/ssh_host_ed25519_key.pub"
        )
    return text


def _bastion(text: str) -> str:
    user, _, place = text.rpartition("@")
    host, _, port = place.partition(":")
    if (user and not USER_NAME.fullmatch(user)) or not _SSH_HOST.fullmatch(host):
        raise wrong("expected `host`, `user@host` or `user@host:port`, such as ops@bastion.example.org")
    if ":" in place and not (port.isdecimal() and 0 < int(port) < 65536):
        raise wrong("expected a port from 1 to 65535 after the colon, such as ops@bastion.example.org:2222")
    return text


Port = Annotated[int, Field(ge=1, le=65535)]
Bastion = Annotated[str, AfterValidator(_bastion)]


class LocalTarget(Section):
    """This machine: every node is a loopback address of its own."""

    kind: Literal["local"] = Field(description="this machine")
    nodes: Count | None = Field(default=None, description="nodes; default: as few as the roles need")
    gpus_per_node: Count = Field(default=1, description="GPUs that each node pretends, or has with `cuda`")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="what real vLLM runs on")


class HostEntry(Section):
    """One machine of the inventory."""

    name: Annotated[str, AfterValidator(_node_name)] = Field(
        description="what the node is called: a-z, 0-9 and -", examples=["gpu-1"]
    )
    address: Annotated[str, AfterValidator(_address)] = Field(
        description="IPv4 address that the other nodes reach it at", examples=["10.0.0.11"]
    )
    host: Annotated[str, AfterValidator(_ssh_host)] | None = Field(
        default=None, description="what SSH connects to, where that is not `address`"
    )
    user: UserName | None = Field(default=None, description="in place of the target's `user`")
    port: Port | None = Field(default=None, description="in place of the target's `port`")
    bastion: Bastion | None = Field(default=None, description="in place of the target's `bastion`")
    host_key: Annotated[str, AfterValidator(_host_key)] | None = Field(
        default=None,
        description="the host's public key, type and key; default: recorded at the first connection",
    )


class FirewallSettings(Section):
    """Who may connect to the machines; `firewall: manage` is short for `{mode: manage}`."""

    mode: FirewallMode = Field(
        default="none",
        description="`manage`: nftables refuses what the deployment does not need, but for SSH; "
        "`none`: the machines' own rules are left as they are",
    )
    clients: Annotated[list[NetworkRange], Field(min_length=1)] = Field(
        default=["0.0.0.0/0", "::/0"],
        description="addresses and ranges that may ask the endpoint; default: all",
        examples=[["203.0.113.0/24"]],
    )
    open_ports: list[Port] = Field(
        default_factory=list,
        description="more TCP ports that stay open to everybody, such as one that sshd is about to move to",
    )


def _firewall(value: Any) -> Any:
    return {"mode": value} if isinstance(value, str) else value


class HostsTarget(Section):
    """Existing machines, reached over SSH by a user who is root or may use sudo without a password."""

    kind: Literal["hosts"] = Field(description="existing machines over SSH")
    inventory: Annotated[list[HostEntry], Field(min_length=1, max_length=256)] = Field(
        description="the machines, the head first; each is a node",
        examples=[[{"name": "gpu-1", "address": "10.0.0.11"}]],
    )
    user: UserName | None = Field(
        default=None, description="who logs in; default: what your SSH configuration says"
    )
    port: Port | None = Field(
        default=None, description="port of sshd; default: what your SSH configuration says"
    )
    bastion: Bastion | None = Field(
        default=None, description="`user@host:port` that connections go through", examples=["ops@bastion"]
    )
    gpus_per_node: Count = Field(default=1, description="GPUs of each machine")
    device: Literal["cuda", "cpu"] = Field(default="cuda", description="what real vLLM runs on")
    firewall: Annotated[
        FirewallSettings, BeforeValidator(_firewall, json_schema_input_type=FirewallMode | FirewallSettings)
    ] = Field(default=FirewallSettings(), description="who may connect to the machines")

    @field_validator("inventory")
    @classmethod
    def _every_machine_is_listed_once(cls, inventory: list[HostEntry]) -> list[HostEntry]:
        for what, values in (
            ("name", [entry.name for entry in inventory]),
            ("address", [entry.address for entry in inventory]),
        ):
            twice = [value for value, count in Counter(values).items() if count > 1]
            if twice:
                raise wrong(f"lists the {what} {twice[0]} twice; give each machine its own")
        return inventory
