"""Attention heads of models that are known by name: tensor parallel sizes must divide them."""

from typing import Final

from settings.models import ModelSettings

_KNOWN: Final = {"meta-llama/Llama-3.3-70B-Instruct": 64}
_GENERATED: Final = 4


def attention_heads(model: ModelSettings) -> int | None:
    """Return the model's attention heads; None for a model that is not known here."""
    return _GENERATED if model.source == "generated" else _KNOWN.get(model.name)
