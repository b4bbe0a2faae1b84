"""Generations of workers: those of one generation may work together."""

import hashlib
import json
from dataclasses import replace

from nodectl.contract.codec import encode
from nodectl.contract.runtime import RuntimeSpec
from planning.commands.arguments import PAIRING_FLAGS
from planning.roles import worker_roles
from settings.models import Settings


def generation(settings: Settings, runtime: RuntimeSpec) -> str:
    """Return a short name that changes exactly when workers of before and after could not work together.

    That is decided by what NIXL compares (versions, model, layout of the KV cache) and by the pattern: a
    decode worker and an aggregated one register alike.
    """
    pairing_flags = {
        name: role.flags[name]
        for _, role in worker_roles(settings)
        for name in PAIRING_FLAGS
        if name in role.flags
    }
    model = runtime.model and replace(runtime.model, endpoint=None)  # a mirror has the same files
    runtime_parts = {
        "variant": runtime.variant,
        "lock": runtime.lock,
        "model": encode(model),
        "engine": encode(runtime.engine),
    }
    body = [settings.pattern, runtime_parts, pairing_flags]
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:8]
