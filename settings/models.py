"""The stack file as models: every key a user may write below `dynamo:`, with its meaning.

The JSON schema for editors, the reference page and what an error expects are made from these descriptions.
Rules between sections are in `settings.cross_checks`; whoever needs them all goes through `settings.loader`.
"""

import re
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

from nodectl.common.redaction import redacted
from settings.aws.target import AwsTarget
from settings.model_shape import ModelShape
from settings.ports import PortSettings
from settings.proxy import ProxySettings
from settings.runtime import Runtime, Url, VenvRuntime
from settings.section import (
    AS_WRITTEN,
    Argument,
    Count,
    EngineCount,
    Folder,
    FrontendCount,
    NodeCount,
    Passed,
    Section,
    wrong,
)
from settings.targets import HostsTarget, LocalTarget

Role = Literal["frontend", "aggregated", "prefill", "decode"]
Pattern = Literal["agg", "disagg"]
EngineKind = Literal["vllm", "mocker"]
Placement = Literal["colocated", "dedicated"]
ModelOrigin = Literal["hub", "s3", "path", "generated"]

_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FLAG_NAME: Final = re.compile(r"-*[A-Za-z0-9]+([-_]+[A-Za-z0-9]+)*([= ][A-Za-z0-9.]*)?")
"""Any spelling of a flag; `planning.commands.role_settings` gives the form to write."""

_HUB_ID: Final = re.compile(r"(\w[\w.-]*/)?\w[\w.-]*(:\w[\w.-]*)?", re.ASCII)
"""GGUF weights end with a quantisation of the repository: `organisation/model-GGUF:Q4_K_M`."""

_REVISION: Final = re.compile(r"(?!.*\.\.)[\w.+@/-]*", re.ASCII)
_FOLDER_NAME: Final = re.compile(r"\w[\w.-]*", re.ASCII)
_S3_URI: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.=@+-]+)+", re.ASCII)

_PLACES: Final = {"path": ("path", "/models/llama"), "uri": ("s3", "s3://bucket/folder")}
"""Key for the place of a model -> the `source` that it belongs to, and an example."""


def _env_name(name: str) -> str:
    if not _ENV_NAME.fullmatch(name):
        raise wrong("expected the name of an environment variable: letters, digits and _, no digit first")
    return name


def _flag_name(name: str) -> str:
    if not _FLAG_NAME.fullmatch(name) or redacted(name) != name:
        raise wrong("expected a flag name of a-z, 0-9 and -, without leading dashes")
    return name


def _s3_uri(uri: str) -> str:
    plain = uri.rstrip("/")
    if not _S3_URI.fullmatch(plain) or {".", ".."} & set(plain.split("/")):
        raise wrong(
            "expected s3://bucket/folder, of letters, digits and . _ = @ + - such as s3://models/llama"
        )
    return plain


def _revision(name: str) -> str:
    if not _REVISION.fullmatch(name) or {"", "."} & set(name.split("/")) or name.endswith(".lock"):
        raise wrong("expected a branch, a tag or a commit of the model's repository, such as main")
    return name


def _no_data_parallelism(size: int) -> int:
    if size != 1:
        raise wrong("data parallel engines are not built yet, expected 1; use `replicas` for more engines")
    return size


def _no_expert_parallelism(enabled: bool) -> bool:
    if enabled:
        raise wrong("expert parallelism is not built yet, expected false; remove it")
    return enabled


Seconds = Annotated[int, Field(ge=1, le=86400)]
Flags = dict[Annotated[str, AfterValidator(_flag_name)], Passed]
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
    """Parallelism of one engine over GPUs."""

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

    replicas: EngineCount = Field(default=1, description="engines of this role")
    parallelism: Parallelism = Field(default=Parallelism(), description="how each engine is split over GPUs")
    flags: Flags = Field(
        default_factory=dict,
        description="flags of the Dynamo module, without dashes; those that planning sets are refused. "
        "`${data}`, `${models}` and `${s3}` in values are folders of the node, `$${data}` is text",
        examples=[{"enforce-eager": True, "max-model-len": 8192}],
    )
    env: Environment = Field(
        default_factory=dict,
        description="environment of the role's processes; values are text, filled as those of flags",
        examples=[{"NCCL_DEBUG": "INFO"}],
    )


class FrontendSettings(Section):
    """The frontend: HTTP server and router."""

    replicas: FrontendCount = Field(
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
        description="`hub`: downloaded once per node; `s3`: synchronised once per node; "
        "`path`: a folder on every node; `generated`: small and random",
    )
    name: Argument = Field(
        description="hub id, or the name of the generated model; for `s3` and `path` what it is called",
        examples=["meta-llama/Llama-3.3-70B-Instruct"],
    )
    served_name: Argument | None = Field(
        default=None, description="name in requests; default: the name itself"
    )
    revision: Annotated[Argument, AfterValidator(_revision)] | None = Field(
        default=None, description="hub revision, so that every node has the same"
    )
    endpoint: Url | None = Field(
        default=None,
        description="mirror of the hub, in place of https://huggingface.co",
        examples=["https://hub.example.org"],
    )
    path: Folder | None = Field(
        default=None, validate_default=True, description="folder on every node, for `source: path`"
    )
    uri: Annotated[Argument, AfterValidator(_s3_uri)] | None = Field(
        default=None,
        validate_default=True,
        description="folder in a bucket, for `source: s3`; the nodes' instance profile may read it",
        examples=["s3://my-models/llama-3.3-70b-instruct"],
    )

    shape: ModelShape | None = Field(
        default=None, description="what decides its memory, for a model that `scripts/plan` does not know"
    )

    @field_validator("name")
    @classmethod
    def _name_fits_its_source(cls, name: str, info: ValidationInfo) -> str:
        source = info.data.get("source")
        if source == "hub" and not _HUB_ID.fullmatch(name):
            raise wrong(
                "expected a hub id such as meta-llama/Llama-3.3-70B-Instruct; for a folder on the nodes "
                "write `source: path` and `path: /the/folder`"
            )
        if source == "generated" and not _FOLDER_NAME.fullmatch(name):
            raise wrong("expected a plain name of letters, digits, `_`, `.` and `-`, such as tiny")
        return name

    @field_validator("revision")
    @classmethod
    def _only_the_hub_has_revisions(cls, revision: str | None, info: ValidationInfo) -> str | None:
        if revision is not None and info.data.get("source") in ("s3", "path", "generated"):
            raise wrong(f"a model of `source: {info.data['source']}` has no revision; remove it")
        return revision

    @field_validator("endpoint")
    @classmethod
    def _only_the_hub_has_mirrors(cls, endpoint: str | None, info: ValidationInfo) -> str | None:
        if endpoint is not None and info.data.get("source") in ("s3", "path", "generated"):
            raise wrong(f"does not go with `source: {info.data['source']}`; remove it")
        return None if endpoint is None else endpoint.rstrip("/")

    @field_validator("path", "uri")
    @classmethod
    def _its_place_and_source_go_together(cls, place: str | None, info: ValidationInfo) -> str | None:
        source, (own, example) = info.data.get("source"), _PLACES[str(info.field_name)]
        if source == own and place is None:
            raise wrong(f"missing: `source: {own}` needs the folder; add `{info.field_name}: {example}`")
        if source not in (None, own) and place is not None:
            raise wrong(f"does not go with `source: {source}`; remove it or write `source: {own}`")
        return place


Target = Annotated[LocalTarget | HostsTarget | AwsTarget, Field(discriminator="kind")]


class CostSettings(Section):
    """Limit of the deployment's cost."""

    max_hourly: Annotated[float, Field(gt=0), AS_WRITTEN] | None = Field(
        default=None, description="most that everything may cost an hour, in US dollars; more is refused"
    )


class HeadSettings(Section):
    """Placement of NATS, etcd and the frontend; `head: dedicated` is short for `{placement: dedicated}`."""

    placement: Placement = Field(
        default="colocated", description="on a worker node, or on a node without workers"
    )
    node: NodeCount = Field(default=1, description="which node is the head, counted from 1")


def _head(value: Any) -> Any:
    return {"placement": value} if isinstance(value, str) else value


class RolloutSettings(Section):
    """Rollout of changes to running workers."""

    max_unavailable: EngineCount = Field(
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
    ports: PortSettings = Field(
        default=PortSettings(),
        description="TCP ports that services listen on",
        examples=[{"frontend": 8080}],
    )
    proxy: ProxySettings | None = Field(
        default=None,
        description="what installs on the nodes go through to the outside; default: nothing, whatever the "
        "shell and the hosts are set to",
        examples=[{"https": "http://proxy.example.org:3128"}],
    )
    cost: CostSettings = Field(default=CostSettings(), description="what the deployment may cost")
    proof_seconds: Seconds | None = Field(
        default=None, description="bound on the proof, in seconds; default by engine"
    )
    hugging_face_token: Secret | None = Field(
        default=None,
        description="hub token for gated models: `scripts/secret STACK huggingFaceToken` asks for it",
    )
