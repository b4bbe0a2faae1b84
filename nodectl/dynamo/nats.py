"""NATS's client without what only websockets need: aiohttp would be a third of a proof's imports."""

import sys

_TAKEN_OUT = "aiohttp" not in sys.modules
if _TAKEN_OUT:
    sys.modules["aiohttp"] = None  # type: ignore[assignment]  # importing it fails, and nats does without

import nats  # noqa: E402
import nats.errors  # noqa: E402
import nats.js.errors  # noqa: E402

if _TAKEN_OUT:
    del sys.modules["aiohttp"]

__all__ = ["nats"]
