"""The stack file as models: every key a user may write below `dynamo:`, with its meaning.

The JSON schema for editors, the reference page and what an error expects are made from these descriptions.
Rules between sections are in `settings.rules`; whoever needs them all goes through `settings.reading`.
"""

import ipaddress
import re
from collections import Counter
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from nodectl.manifest import FlagValue
from settings.runtime import Runtime, VenvRuntime
from settings.section import Argument, Folder, Section
from settings.section import wrong as _wrong

Role = Literal["frontend", "aggregated", "prefill", "decode"]
Pattern = Literal["agg", "disagg"]
EngineKind = Literal["vllm", "mocker"]
Placement = Literal["colocated", "dedicated"]
FirewallMode = Literal["none", "manage"]
ModelOrigin = Literal["hub", "path", "generated"]

_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FLAG_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_HUB_ID: Final = re.compile(r"(\w[\w.-]*/)?\w[\w.-]*", re.ASCII)
_FOLDER_NAME: Final = re.compile(r"\w[\w.-]*", re.ASCII)
_INSTANCE_TYPE: Final = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")
_NODE_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SSH_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:_-]{0,252}[A-Za-z0-9])?")
_USER_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.@+-]{0,63}")
_HOST_KEY: Final = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}")


def _env_name(name: str) -> str:
    if not _ENV_NAME.fullmatch(name):
        raise _wrong("expected the name of an environment variable: letters, digits and _, no digit first")
    return name


def _flag_name(name: str) -> str:
    if not _FLAG_NAME.fullmatch(name):
        plain = re.sub(r"[^a-z0-9]+", "-", name.split("=", maxsplit=1)[0].lower()).strip("-")
        example = f"; write `{plain}`" if plain else ""
        raise _wrong(f"expected a flag name of a-z, 0-9 and -, without leading dashes{example}")
    return name


def _instance_type(name: str) -> str:
    if not _INSTANCE_TYPE.fullmatch(name):
        raise _wrong("expected an EC2 instance type such as p5.48xlarge")
    return name


def _node_name(name: str) -> str:
    if not _NODE_NAME.fullmatch(name):
        raise _wrong("expected a host name of a-z, 0-9 and -, at most 63 characters, such as gpu-1")
    return name


def _address(text: str) -> str:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise _wrong(
            "expected the IPv4 address that the other nodes reach it at, such as 10.0.0.11"
        ) from None
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        raise _wrong("expected an address that the other nodes can reach")
    return text


def _ssh_host(text: str) -> str:
    if not _SSH_HOST.fullmatch(text):
        raise _wrong("expected a host name or an address that SSH connects to, such as gpu-1.example.org")
    return text


def _user_name(name: str) -> str:
    if not _USER_NAME.fullmatch(name):
        raise _wrong("expected the name of a user, such as ubuntu")
    return name


def _host_key(text: str) -> str:
    if not _HOST_KEY.fullmatch(text):
        raise _wrong(
            "expected type and key, such as `ssh-ed25519 AAAAC3…`: the first two words of the host's "
            "/etc/ssh/ssh_host_ed25519_key.pub"
        )
    return text


def _bastion(text: str) -> str:
    user, _, place = text.rpartition("@")
    host, _, port = place.partition(":")
    if (user and not _USER_NAME.fullmatch(user)) or not _SSH_HOST.fullmatch(host):
        raise _wrong("expected `host`, `user@host` or `user@host:port`, such as ops@bastion.example.org")
    if ":" in place and not (port.isdecimal() and 0 < int(port) < 65536):
        raise _wrong("expected a port from 1 to 65535 after the colon, such as ops@bastion.example.org:2222")
    return text


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise _wrong("expected an address or range such as 203.0.113.7 or 203.0.113.0/24") from None


def _no_data_parallelism(size: int) -> int:
    if size != 1:
        raise _wrong("data parallel engines are not built yet, expected 1; use `replicas` for more engines")
    return size


def _no_expert_parallelism(wanted: bool) -> bool:
    if wanted:
        raise _wrong("expert parallelism is not built yet, expected false; remove it")
    return wanted


Count = Annotated[int, Field(ge=1, le=1024)]
Seconds = Annotated[int, Field(ge=1, le=86400)]
Port = Annotated[int, Field(ge=1, le=65535)]
UserName = Annotated[str, AfterValidator(_user_name)]
Bastion = Annotated[str, AfterValidator(_bastion)]
Flags = dict[Annotated[str, AfterValidator(_flag_name)], FlagValue]
Environment = dict[Annotated[str, AfterValidator(_env_name)], str]
Secret = Annotated[
    SecretStr,
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"secure": {"type": "string"}},
            "required": ["secure"],
            "additionalProperties": False,
        }
    ),
]
"""Encrypted in the stack file (`{secure: …}`), readable only where Pulumi decrypted it."""


class Parallelism(Section):
    """How one engine is split over GPUs."""

    tensor: Count = Field(default=1, description="tensor parallel size: GPUs that share each layer")
    pipeline: Count = Field(default=1, description="pipeline parallel size: groups of layers")
    data: Annotated[Count, AfterValidator(_no_data_parallelism)] = Field(
        default=1, description="data parallel size; only 1 for now"
    )
    expert: Annotated[bool, AfterValidator(_no_expert_parallelism)] = Field(
        default=False, description="expert parallelism; only false for now"
    )


class RoleSettings(Section):
    """A role of workers: how many engines, how each is split, and what is passed on to them."""

    replicas: Count = Field(default=1, description="engines of this role")
    parallelism: Parallelism = Field(default=Parallelism(), description="how each engine is split over GPUs")
    flags: Flags = Field(
        default_factory=dict,
        description="flags of the Dynamo module, without dashes; those that planning sets are refused",
        examples=[{"enforce-eager": True, "max-model-len": 8192}],
    )
    env: Environment = Field(
        default_factory=dict,
        description="environment of the role's processes; values are text",
        examples=[{"NCCL_DEBUG": "INFO"}],
    )


class FrontendSettings(Section):
    """The frontend: HTTP server and router."""

    replicas: Count = Field(
        default=1, description="frontends, one a node; several stand behind a balancer on the head"
    )
    flags: Flags = Field(
        default_factory=dict,
        description="flags of `dynamo.frontend`, without dashes",
        examples=[{"router-mode": "kv"}],
    )
    env: Environment = Field(default_factory=dict, description="environment of the frontends")


class Roles(Section):
    """The roles of the pattern: `frontend` and `aggregated`, or `frontend`, `prefill` and `decode`."""

    frontend: FrontendSettings = Field(default=FrontendSettings(), description="HTTP server and router")
    aggregated: RoleSettings | None = Field(default=None, description="the workers of pattern `agg`")
    prefill: RoleSettings | None = Field(default=None, description="the prefill workers of pattern `disagg`")
    decode: RoleSettings | None = Field(default=None, description="the decode workers of pattern `disagg`")


class ModelSettings(Section):
    """The model that is served."""

    source: ModelOrigin = Field(
        default="hub",
        description="`hub`: downloaded once per node; `path`: a folder on every node; "
        "`generated`: small and random",
    )
    name: Argument = Field(
        description="hub id, or the name of the generated model",
        examples=["meta-llama/Llama-3.3-70B-Instruct"],
    )
    served_name: Argument | None = Field(
        default=None, description="name in requests; default: the name itself"
    )
    revision: Argument | None = Field(
        default=None, description="hub revision, so that every node has the same"
    )
    path: Folder | None = Field(
        default=None, validate_default=True, description="folder on every node, for `source: path`"
    )

    @field_validator("name")
    @classmethod
    def _name_fits_its_source(cls, name: str, info: ValidationInfo) -> str:
        source = info.data.get("source")
        if source == "hub" and not _HUB_ID.fullmatch(name):
            raise _wrong(
                "expected a hub id such as meta-llama/Llama-3.3-70B-Instruct; for a folder on the nodes "
                "write `source: path` and `path: /the/folder`"
            )
        if source == "generated" and not _FOLDER_NAME.fullmatch(name):
            raise _wrong("expected a plain name of letters, digits, `_`, `.` and `-`, such as tiny")
        return name

    @field_validator("revision")
    @classmethod
    def _only_the_hub_has_revisions(cls, revision: str | None, info: ValidationInfo) -> str | None:
        if revision is not None and info.data.get("source") in ("path", "generated"):
            raise _wrong(f"a model of `source: {info.data['source']}` has no revision; remove it")
        return revision

    @field_validator("path")
    @classmethod
    def _path_and_source_go_together(cls, path: str | None, info: ValidationInfo) -> str | None:
        source = info.data.get("source")
        if source == "path" and path is None:
            raise _wrong("missing: `source: path` needs the folder; add `path: /models/llama`")
        if source in ("hub", "generated") and path is not None:
            raise _wrong(f"does not go with `source: {source}`; remove it or write `source: path`")
        return path


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
    clients: Annotated[list[Annotated[str, AfterValidator(_network)]], Field(min_length=1)] = Field(
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
                raise _wrong(f"lists the {what} {twice[0]} twice; give each machine its own")
        return inventory


class AwsTarget(Section):
    """GPU instances on AWS. Planned and priced today; `up` is refused until the target lands."""

    kind: Literal["aws"] = Field(description="GPU instances on AWS")
    instance_type: Annotated[str, AfterValidator(_instance_type)] = Field(
        description="GPU instance type", examples=["p5.48xlarge"]
    )


Target = Annotated[LocalTarget | HostsTarget | AwsTarget, Field(discriminator="kind")]


class HeadSettings(Section):
    """Where NATS, etcd and the frontend run; `head: dedicated` is short for `{placement: dedicated}`."""

    placement: Placement = Field(
        default="colocated", description="on a worker node, or on a node without workers"
    )
    node: Count = Field(default=1, description="which node is the head, counted from 1")


def _head(value: Any) -> Any:
    return {"placement": value} if isinstance(value, str) else value


class RolloutSettings(Section):
    """How changes reach running workers."""

    max_unavailable: Count = Field(
        default=1,
        description="workers of a role, or frontends, that may be down for a change at once",
    )
    drain_seconds: Seconds = Field(default=60, description="how long requests in flight may take to end")


class Settings(Section):
    """The stack file: everything below `dynamo:`."""

    target: Target = Field(
        description="where the nodes come from; each kind has keys of its own",
        examples=[{"kind": "local", "nodes": 2}],
    )
    pattern: Pattern = Field(
        description="`agg`: every worker does both phases; `disagg`: prefill and decode apart",
        examples=["agg"],
    )
    engine: EngineKind | None = Field(
        default=None,
        description="`vllm`, or Dynamo's simulated `mocker`; default: mocker on local, else vllm",
    )
    model: ModelSettings = Field(
        description="the model that is served", examples=[{"name": "meta-llama/Llama-3.3-70B-Instruct"}]
    )
    roles: Roles = Field(
        description="what runs, and how often; a pattern's workers are always written",
        examples=[{"aggregated": {"replicas": 2}}],
    )
    head: Annotated[HeadSettings, BeforeValidator(_head, json_schema_input_type=Placement | HeadSettings)] = (
        Field(default=HeadSettings(), description="where NATS, etcd and the frontend run")
    )
    rollout: RolloutSettings = Field(
        default=RolloutSettings(), description="how changes reach running workers"
    )
    runtime: Runtime = Field(
        default=VenvRuntime(kind="venv"),
        description="where Dynamo, vLLM, NATS and etcd come from on the nodes; each kind has keys of its own",
        examples=[{"kind": "container"}],
    )
    proof_seconds: Seconds | None = Field(
        default=None, description="bound on the proof, in seconds; default by engine"
    )
    hugging_face_token: Secret | None = Field(
        default=None,
        description="hub token for gated models: `pulumi config set --secret dynamo:huggingFaceToken`",
    )
