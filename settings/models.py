"""The stack file as models: every key a user may write below `dynamo:`, with its meaning.

The JSON schema for editors and the reference page are generated from these descriptions.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

from nodectl.manifest import FlagValue

Role = Literal["frontend", "aggregated", "prefill", "decode"]
Pattern = Literal["agg", "disagg"]
EngineKind = Literal["vllm", "mocker"]


class Section(BaseModel):
    """Base of every part of the stack file: frozen, camelCase, unknown keys refused, no silent conversion."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True
    )


class Parallelism(Section):
    """How one engine is split over GPUs."""

    tensor: int = Field(default=1, ge=1, description="tensor parallel size: GPUs that share each layer")
    pipeline: int = Field(default=1, ge=1, description="pipeline parallel size: groups of layers")
    data: int = Field(default=1, ge=1, description="data parallel size; only 1 for now")
    expert: bool = Field(default=False, description="expert parallelism; only false for now")


class RoleSettings(Section):
    """One role: how many engines, how each is split, and what is passed on to them."""

    replicas: int = Field(default=1, ge=1, description="engines of this role")
    parallelism: Parallelism = Parallelism()
    flags: dict[str, FlagValue] = Field(
        default_factory=dict,
        description="flags of the Dynamo module, without dashes, after those that planning sets",
    )
    env: dict[str, str] = Field(default_factory=dict, description="environment of the role's processes")


class FrontendSettings(Section):
    """The frontend: HTTP server and router."""

    replicas: int = Field(default=1, ge=1, description="frontends; two or more stand behind a balancer")
    flags: dict[str, FlagValue] = Field(default_factory=dict, description="flags of `dynamo.frontend`")
    env: dict[str, str] = Field(default_factory=dict, description="environment of the frontends")


class Roles(Section):
    """The roles of the pattern: `frontend` and `aggregated`, or `frontend`, `prefill` and `decode`."""

    frontend: FrontendSettings = FrontendSettings()
    aggregated: RoleSettings | None = None
    prefill: RoleSettings | None = None
    decode: RoleSettings | None = None


class ModelSettings(Section):
    """The model that is served."""

    name: str = Field(min_length=1, description="hub id, or the name of the generated model")
    served_name: str | None = Field(default=None, description="name in requests; default: the name itself")
    revision: str | None = Field(default=None, description="hub revision, so that every node has the same")
    source: Literal["hub", "path", "generated"] = Field(
        default="hub",
        description="`hub`: downloaded once per node; `path`: a folder on every node; `generated`: small and random",
    )
    path: str | None = Field(default=None, description="folder on every node, for `source: path`")


class LocalTarget(Section):
    """This machine: every node is a loopback address of its own."""

    kind: Literal["local"]
    nodes: int | None = Field(default=None, ge=1, description="nodes; default: as few as the roles need")
    gpus_per_node: int = Field(
        default=1, ge=1, description="GPUs that each node pretends, or has with `cuda`"
    )
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="what real vLLM runs on")


class AwsTarget(Section):
    """GPU instances on AWS. Planned and priced today; `up` is refused until the target lands."""

    kind: Literal["aws"]
    instance_type: str = Field(description="GPU instance type, such as p5.48xlarge")


Target = Annotated[LocalTarget | AwsTarget, Field(discriminator="kind")]


class HeadSettings(Section):
    """Where NATS, etcd and the frontend run."""

    placement: Literal["colocated", "dedicated"] = Field(
        default="colocated", description="on a worker node, or on a node without workers"
    )
    node: int = Field(default=1, ge=1, description="which node is the head, counted from 1")


class RolloutSettings(Section):
    """How changes reach running workers."""

    max_unavailable: int = Field(default=1, ge=1, description="workers of a role that may restart at once")
    drain_seconds: int = Field(default=60, ge=1, description="how long requests in flight may take to end")


class Settings(Section):
    """The stack file: everything below `dynamo:`."""

    target: Target
    pattern: Pattern = Field(
        description="`agg`: every worker does both phases; `disagg`: prefill and decode apart"
    )
    engine: EngineKind | None = Field(
        default=None,
        description="`vllm`, or Dynamo's simulated `mocker`; default: mocker on local, else vllm",
    )
    model: ModelSettings
    roles: Roles = Roles()
    head: Literal["colocated", "dedicated"] | HeadSettings = "colocated"
    rollout: RolloutSettings = RolloutSettings()
    proof_seconds: int | None = Field(default=None, ge=1, description="bound on the proof; default by engine")
    hugging_face_token: SecretStr | None = Field(
        default=None, description="hub token for gated models; a secret scalar of its own"
    )
