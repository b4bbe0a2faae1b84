"""Facts of a model that decide how much memory it takes, for models that planning does not know."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from settings.section import Count, Section, wrong


class ModelShape(Section):
    """A model's shape, from its `config.json`: whether it fits the GPUs is told before anything is bought."""

    weights_gb: Annotated[float, Field(gt=0, le=100000)] = Field(
        description="size of its weight files in GB, 10^9 bytes", examples=[16.1]
    )
    layers: Count = Field(description="`num_hidden_layers`", examples=[32])
    attention_heads: Count = Field(description="`num_attention_heads`", examples=[32])
    kv_heads: Count = Field(description="`num_key_value_heads`", examples=[8])
    head_size: Count = Field(
        description="`head_dim`, or `hidden_size` divided by the attention heads", examples=[128]
    )
    context: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        description="`max_position_embeddings`", examples=[131072]
    )
    dtype: Literal["bfloat16", "float16", "float32"] = Field(
        default="bfloat16", description="`torch_dtype`, which the KV cache has unless a flag says otherwise"
    )
    gated: bool = Field(default=False, description="whether the hub asks for a token")

    @field_validator("kv_heads")
    @classmethod
    def _key_value_heads_are_shared_evenly(cls, heads: int, info: ValidationInfo) -> int:
        attention = info.data.get("attention_heads")
        if attention is not None and attention % heads:
            raise wrong(f"expected a divisor of `attentionHeads: {attention}`, which share them")
        return heads
