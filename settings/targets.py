"""Targets, the sources of nodes: this machine or an inventory. `settings.aws.target` has the one for AWS."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from nodectl.common.redaction import redacted
from settings.addresses import (
    Bastion,
    HostKey,
    MachineAddress,
    NetworkRange,
    SshHost,
    same_bastion,
    same_host,
)
from settings.section import MAX_NODES, Count, NodeCount, Section, UserName, wrong

FirewallMode = Literal["none", "manage"]
Device = Literal["cpu", "cuda"]

_NODE_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


_SSH: Final = 22


def _node_name(name: str) -> str:
    if not _NODE_NAME.fullmatch(name):
        raise wrong("expected a host name of a-z, 0-9 and -, at most 63 characters, such as gpu-1")
    return name


Port = Annotated[int, Field(ge=1, le=65535)]


class HostEntry(Section):
    """One machine of the inventory."""

    name: Annotated[str, AfterValidator(_node_name)] = Field(
        description="what the node is called: a-z, 0-9 and -", examples=["gpu-1"]
    )
    address: MachineAddress = Field(
        description="IPv4 address that the other nodes reach it at", examples=["10.0.0.11"]
    )
    host: SshHost | None = Field(
        default=None, description="what SSH connects to, where that is not `address`"
    )
    user: UserName | None = Field(default=None, description="in place of the target's `user`")
    port: Port | None = Field(default=None, description="in place of the target's `port`")
    bastion: Bastion | None = Field(default=None, description="in place of the target's `bastion`")
    host_key: HostKey | None = Field(
        default=None,
        description="the host's public key, type and key; default: recorded at the first connection",
    )


class FirewallSettings(Section):
    """Firewall of the machines; `firewall: manage` is short for `{mode: manage}`."""

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

    @field_validator("clients", "open_ports")
    @classmethod
    def _only_a_managed_firewall_lets_in(cls, entries: list[Any], info: ValidationInfo) -> list[Any]:
        if info.data.get("mode") == "none":
            raise wrong("opens nothing with `mode: none`; write `mode: manage` or remove it")
        return entries


class LocalTarget(Section):
    """This machine: every node is a loopback address of its own."""

    kind: Literal["local"] = Field(description="this machine")
    nodes: NodeCount | None = Field(default=None, description="nodes; default: as few as the roles need")
    gpus_per_node: Count = Field(default=1, description="GPUs that each node pretends, or has with `cuda`")
    device: Device = Field(default="cpu", description="what real vLLM runs on")

    on_this_machine: ClassVar[bool] = True
    """Whether the nodes share one machine: by default they simulate, and ports at 0.0.0.0 meet."""
    firewall: ClassVar[FirewallSettings] = FirewallSettings()


def _firewall(value: Any) -> Any:
    return {"mode": value} if isinstance(value, str) else value


class HostsTarget(Section):
    """Existing machines, reached over SSH by a user who is root or may use sudo without a password."""

    kind: Literal["hosts"] = Field(description="existing machines over SSH")
    user: UserName | None = Field(
        default=None, description="who logs in; default: what your SSH configuration says"
    )
    port: Port | None = Field(
        default=None, description="port of sshd; default: what your SSH configuration says"
    )
    bastion: Bastion | None = Field(
        default=None, description="`user@host:port` that connections go through", examples=["ops@bastion"]
    )
    inventory: Annotated[list[HostEntry], Field(min_length=1, max_length=MAX_NODES)] = Field(
        description="the machines, the head first; each is a node",
        examples=[[{"name": "gpu-1", "address": "10.0.0.11"}]],
    )
    gpus_per_node: Count = Field(default=1, description="GPUs of each machine")
    device: Literal["cuda", "cpu"] = Field(default="cuda", description="what real vLLM runs on")
    firewall: Annotated[
        FirewallSettings, BeforeValidator(_firewall, json_schema_input_type=FirewallMode | FirewallSettings)
    ] = Field(default=FirewallSettings(), description="who may connect to the machines")

    on_this_machine: ClassVar[bool] = False

    @field_validator("inventory")
    @classmethod
    def _every_machine_is_listed_once(
        cls, inventory: list[HostEntry], info: ValidationInfo
    ) -> list[HostEntry]:
        listed: dict[tuple[object, ...], HostEntry] = {}
        for entry in inventory:
            port = entry.port or info.data.get("port") or _SSH
            bastion = same_bastion(entry.bastion or info.data.get("bastion"))
            for field, value in _identities(entry):
                identity = (field, same_host(value), *((port, bastion) if field == "host" else ()))
                earlier = listed.setdefault(identity, entry)
                if earlier is not entry:
                    raise wrong(_twice(field, value, earlier, entry))
        return inventory


def _identities(entry: HostEntry) -> Iterator[tuple[str, str]]:
    """Yield values that must be unique: name, address, and the hosts that SSH may connect to."""
    yield "name", entry.name
    yield "address", entry.address
    yield "host", entry.host or entry.address
    yield "host", entry.name


def _twice(field: str, value: str, first: HostEntry, second: HostEntry) -> str:
    names = f", as {first.name} and as {second.name}" if first.name != second.name else ""
    return f"lists the {field} {redacted(value)} twice{names}; give each machine its own"
