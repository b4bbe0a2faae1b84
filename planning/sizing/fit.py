"""Memory fit of a model on its GPUs: weights and KV cache against the memory that vLLM takes, all in bytes.

What vLLM needs besides (activations, CUDA graphs, NCCL's buffers) depends on much and is left out: what does
not fit here does not fit, and the tokens that are said to fit are the most that can.

`models.json` beside this file holds what the published `config.json` of each model says. Weights are the
parameters times the bytes of each, which tests compute by hand; of DeepSeek's, the size of the published
files. `latent` is not 0 for multi-head latent attention: one vector for all heads, as long as `kv_lora_rank`
and `qk_rope_head_dim` together, that every GPU keeps whole.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from nodectl.common.redaction import shown
from nodectl.contract.manifest import FlagValue
from planning.placement.assignment import fits
from planning.roles import engine_kind, worker_roles
from planning.text import counted
from planning.values import Machine, WorkerRole
from settings.models import ModelSettings, Parallelism, RoleSettings, Settings
from settings.problems import Problem

GPU_MEMORY_UTILIZATION: Final = 0.92
"""vLLM's default share of a GPU's memory."""

_COUNTED: Final = ("dtype", "gpu-memory-utilization", "kv-cache-dtype", "max-model-len", "max-num-seqs")
_UNCOUNTED: Final[tuple[str, ...]] = (
    "cpu-offload-gb",
    "decode-context-parallel-size",
    "hf-overrides",
    "kv-cache-memory-bytes",
    "num-gpu-blocks-override",
    "quantization",
    "speculative-config",
)
"""Flags that change the arithmetic in ways that are not known here."""

_KV_BYTES: Final = {"float16": 2, "bfloat16": 2, "fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1}
_DTYPE_BYTES: Final = {"bfloat16": 2, "float16": 2, "float32": 4}
_HUMAN: Final = re.compile(r"(\d+(?:\.\d+)?)([kKmM]?)")
_UNITS: Final = {"": 1, "k": 10**3, "K": 2**10, "m": 10**6, "M": 2**20}
_GENERATED_HEADS: Final = 4


@dataclass(frozen=True)
class Shape:
    """Properties of a model that decide how much memory it takes."""

    weights: int
    layers: int
    attention_heads: int
    kv_heads: int
    head_size: int
    latent: int
    """Values that a token keeps in each layer for all heads together; 0: two vectors a KV head."""
    kv_bytes: int
    """Of one value in the KV cache."""
    context: int
    """Most tokens of a sequence."""
    gated: bool
    """Whether the hub asks for a token."""

    def kv_token(self, tensor: int = 1, pipeline: int = 1) -> int:
        """Return the bytes of KV cache of one token on one GPU; without arguments, of the whole model.

        With more GPUs than KV heads, several GPUs keep the same head.
        """
        values = self.latent or 2 * math.ceil(self.kv_heads / tensor) * self.head_size
        return math.ceil(self.layers / pipeline) * values * self.kv_bytes


@dataclass(frozen=True)
class Fit:
    """The arithmetic of one engine on its GPUs."""

    shape: Shape
    parallelism: Parallelism
    memory: int
    """Bytes that vLLM takes of each GPU."""
    context: int
    """Tokens of a sequence that are asked for; 0: as many as fit."""
    sequences: int
    """Sequences at once that are asked for."""

    @property
    def weights_gpu(self) -> float:
        """Return the bytes of weights on one GPU."""
        return self.shape.weights / (self.parallelism.tensor * self.parallelism.pipeline)

    @property
    def kv_gpu(self) -> int:
        """Return the bytes of KV cache of one token on one GPU."""
        return self.shape.kv_token(self.parallelism.tensor, self.parallelism.pipeline)

    @property
    def tokens(self) -> int:
        """Return how many tokens of KV cache find room beside the weights, at most."""
        return max(0, math.floor((self.memory - self.weights_gpu) / self.kv_gpu))

    @property
    def ok(self) -> bool:
        """Return whether the weights and what is asked for fit."""
        return self.tokens >= max(1, self.context) * self.sequences

    def over(self, tensor: int) -> "Fit":
        """Return the same with another tensor parallel size."""
        parallelism = self.parallelism.model_copy(update={"tensor": tensor})
        return replace(self, parallelism=parallelism)


def shape(model: ModelSettings) -> Shape | None:
    """Return what the stack file says of the model's shape, or what is known of it by name."""
    model_shape = model.shape
    if model_shape is None:
        return _known().get(model.name) if model.source != "generated" else None
    return Shape(
        weights=round(model_shape.weights_gb * 10**9),
        layers=model_shape.layers,
        attention_heads=model_shape.attention_heads,
        kv_heads=model_shape.kv_heads,
        head_size=model_shape.head_size,
        latent=0,
        kv_bytes=_DTYPE_BYTES[model_shape.dtype],
        context=model_shape.context,
        gated=model_shape.gated,
    )


def attention_heads(model: ModelSettings) -> int | None:
    """Return the model's attention heads, which tensor parallel sizes must divide; None: not known."""
    if model.source == "generated":
        return _GENERATED_HEADS
    model_shape = shape(model)
    return model_shape.attention_heads if model_shape else None


def fit(settings: Settings, role: RoleSettings, machine: Machine) -> Fit | str:
    """Return the arithmetic of an engine of `role`, or why it cannot be known."""
    model_shape, flags = shape(settings.model), role.flags
    if model_shape is None:
        return f"{settings.model.name} is no model that is known here; write its `model.shape`"
    context = _tokens(flags.get("max-model-len", model_shape.context))
    sequences = _tokens(flags.get("max-num-seqs", 1))
    share = _share(flags.get("gpu-memory-utilization", GPU_MEMORY_UTILIZATION))
    kv_bytes = _kv_bytes(flags, model_shape)
    if context is None or sequences is None or share is None or kv_bytes is None or _uncounted(flags):
        names = [f"`{flag}`" for flag in (*_COUNTED, *_UNCOUNTED) if flag in flags]
        return f"what {' and '.join(names)} changes is not counted"
    return Fit(
        replace(model_shape, kv_bytes=kv_bytes),
        role.parallelism,
        math.floor(machine.gpu_memory * share),
        context,
        max(1, sequences),
    )


def fit_by_role(settings: Settings, machine: Machine) -> dict[WorkerRole, Fit | str]:
    """Return the arithmetic of every role; none where nothing is computed on GPUs of known memory."""
    if not machine.gpu_memory or engine_kind(settings) != "vllm":
        return {}
    return {name: fit(settings, role, machine) for name, role in worker_roles(settings)}


def problems(settings: Settings, machine: Machine) -> Iterator[Problem]:
    """Find engines that their GPUs cannot hold, and contexts that are longer than the model's."""
    roles = dict(worker_roles(settings))
    for name, engine_fit in fit_by_role(settings, machine).items():
        if isinstance(engine_fit, Fit) and engine_fit.context > engine_fit.shape.context:
            yield Problem(
                f"roles.{name}.flags.max-model-len",
                f"the model takes at most {engine_fit.shape.context:,} tokens; lower it or remove it",
                shown(roles[name].flags["max-model-len"]),
            )
        elif isinstance(engine_fit, Fit) and not engine_fit.ok:
            yield Problem(
                f"roles.{name}.parallelism.tensor",
                f"does not fit: {arithmetic(engine_fit)}, more than the {_gb(engine_fit.memory)} that vLLM "
                f"takes of each {machine.gpu}; {_remedy(engine_fit, roles[name], machine)}",
                shown(engine_fit.parallelism.tensor),
            )


def arithmetic(engine_fit: Fit) -> str:
    """Return what one GPU would have to hold, and how that is made up."""
    gpus = engine_fit.parallelism.tensor * engine_fit.parallelism.pipeline
    tokens = max(1, engine_fit.context) * engine_fit.sequences
    cache_bytes = tokens * engine_fit.kv_gpu
    return (
        f"weights of {_gb(engine_fit.shape.weights)} over {counted(gpus, 'GPU')} = "
        f"{_gb(engine_fit.weights_gpu)}, and "
        f"{counted(engine_fit.sequences, 'sequence')} of {max(1, engine_fit.context):,} tokens x "
        f"{engine_fit.kv_gpu / 1024:.4g} KiB of KV cache = {_gb(cache_bytes)}, are "
        f"{_gb(engine_fit.weights_gpu + cache_bytes)} a GPU"
    )


def summary(engine_fit: Fit) -> str:
    """Return what fits, on one line."""
    context = engine_fit.context or min(engine_fit.shape.context, engine_fit.tokens)
    return (
        f"weights {engine_fit.shape.weights / 1e9:.0f} GB → {_gb(engine_fit.weights_gpu)} a GPU"
        f" · KV {engine_fit.shape.kv_token() / 1024:.4g} KiB a token"
        f" → at most {_about(engine_fit.tokens)} tokens"
        f" · context {context:,} × {counted(engine_fit.tokens // max(1, context), 'sequence')}"
    )


def _remedy(engine_fit: Fit, role: RoleSettings, machine: Machine) -> str:
    """Say what would fit: another tensor parallel size, a shorter context, fewer sequences, other GPUs."""
    pipeline, heads = role.parallelism.pipeline, engine_fit.shape.attention_heads
    sizes = [
        size
        for size in range(1, heads + 1)
        if heads % size == 0 and fits(size * pipeline, machine.gpus) and engine_fit.over(size).ok
    ]
    options = [f"use {' or '.join(map(str, sizes[:3]))}"] if sizes else []
    if engine_fit.tokens // engine_fit.sequences >= 1:
        options.append(f"set `max-model-len` to at most {engine_fit.tokens // engine_fit.sequences}")
    if engine_fit.sequences > 1 and engine_fit.tokens >= max(1, engine_fit.context):
        options.append(f"set `max-num-seqs` to at most {engine_fit.tokens // max(1, engine_fit.context)}")
    return ", or ".join(options or ["use GPUs with more memory"])


def _uncounted(flags: Mapping[str, FlagValue]) -> bool:
    return any(flag in flags for flag in _UNCOUNTED) or flags.get("dtype") in ("float", "float32")


def _kv_bytes(flags: Mapping[str, FlagValue], model_shape: Shape) -> int | None:
    dtype = flags.get("kv-cache-dtype", "auto")
    return model_shape.kv_bytes if dtype == "auto" else _KV_BYTES.get(str(dtype))


def _tokens(value: FlagValue) -> int | None:
    """Return a number as vLLM reads it (`8192`, `8k`, `8K`); 0 where vLLM chooses; None: not a number."""
    if value in ("auto", -1, "-1"):
        return 0
    match = _HUMAN.fullmatch(str(value)) if isinstance(value, int | str) else None
    return round(float(match[1]) * _UNITS[match[2]]) if match else None


def _share(value: FlagValue) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        share = float(value)
    except ValueError:
        return None
    return share if 0 < share <= 1 else None


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def _about(tokens: int) -> str:
    return f"{tokens / 1e6:.1f} M" if tokens >= 10**6 else f"{tokens:,}"


@cache
def _known() -> Mapping[str, Shape]:
    text = Path(__file__).with_name("models.json").read_text(encoding="utf-8")
    return {name: Shape(**values) for name, values in json.loads(text).items()}
