"""Stack files of simulated workers whose streams last seconds, so that changes meet requests in flight."""

from typing import Any

from settings import Settings
from tests.unit.plan_examples import settings

SLOW = {"speedup-ratio": 1}
"""About 6 ms a token: a stream of 400 lasts some seconds."""


def disagg(
    prefill: int = 2,
    decode: int = 3,
    *,
    flags: dict[str, dict[str, Any]] | None = None,
    model: str = "tiny",
) -> Settings:
    """Return a disaggregated deployment; `flags` are by role. Another `model` is another generation."""
    given = flags or {}
    roles = {
        "prefill": {"replicas": prefill, "flags": given.get("prefill", {})},
        "decode": {"replicas": decode, "flags": SLOW | given.get("decode", {})},
    }
    return settings("disagg", roles, model=_model(model))


def agg(
    replicas: int = 2, *, tensor: int = 1, flags: dict[str, Any] | None = None, model: str = "tiny"
) -> Settings:
    """Return an aggregated deployment."""
    role = {"replicas": replicas, "parallelism": {"tensor": tensor}, "flags": SLOW | (flags or {})}
    return settings("agg", {"aggregated": role}, model=_model(model))


def _model(name: str) -> dict[str, Any]:
    """Return a generated model that requests always call by the same name."""
    return {"name": name, "source": "generated", "servedName": "tiny"}
