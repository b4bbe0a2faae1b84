"""A client of Dynamo's frontend: its workers, its models, and chat completions that say who answered."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
from pydantic import BaseModel

from nodectl.dynamo.calls import RefusedError
from nodectl.dynamo.registry import Listed

MAX_TOKENS: Final = 8

_GENERATION_TRIES: Final = 1000
_GENERATION_PAUSE: Final = 0.01
"""Number of further tries of a refused pin, and the seconds before each.

The first new one of 100 workers is met within 1,000 tries, but for one case in 20,000.
"""


@dataclass(frozen=True)
class Pin:
    """The workers that a request must be answered by. Aggregated workers are pinned as `decode`."""

    decode: int
    prefill: int | None = None


class _CacheUse(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _CacheUse | None = None


class _Workers(BaseModel):
    prefill_worker_id: int | None = None
    decode_worker_id: int | None = None


class _Timing(BaseModel):
    kv_hit_rate: float | None = None


class _Extras(BaseModel):
    worker_id: _Workers | None = None
    timing: _Timing | None = None


class _Choice(BaseModel):
    finish_reason: str | None = None


class _Part(BaseModel):
    """A whole completion, or a chunk of a streamed one."""

    choices: list[_Choice]
    usage: _Usage | None = None
    nvext: _Extras | None = None


@dataclass(frozen=True)
class Answer:
    """A chat completion that came back whole."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    """Tokens of the prompt that the worker had in its KV cache."""
    prefill: int | None
    decode: int | None
    hit_rate: float | None
    """Part of the prompt's blocks that the KV router knew on the worker that it chose; None: no KV router."""
    first_ms: float
    """Until the first part arrived: the first token of a streamed answer."""


class Frontend:
    """One frontend, or a balancer, at `url`. Raises RefusedError, `httpx.HTTPError`, and ValueError."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self.url = url

    async def workers(self) -> list[Listed]:
        """Return the workers that this frontend knows."""
        body = await self._get("/health")
        return [
            Listed(
                id=item["instance_id"],
                address=item["transport"]["tcp"].partition("/")[0],
                namespace=item["namespace"],
                component=item["component"],
            )
            for item in body["instances"]
            if item["endpoint"] == "generate"
        ]

    async def models(self) -> list[str]:
        """Return the names of the models that can be asked for."""
        return [item["id"] for item in (await self._get("/v1/models"))["data"]]

    async def complete(self, model: str, prompt: str, pin: Pin | None = None) -> Answer:
        """Ask for a completion in one piece, by the workers of `pin` if given.

        Where workers of several generations serve, a frontend chooses a generation at random, weighted by
        numbers of workers, before it looks at the pin, and refuses with 400 a pin to a worker of another one.
        So the request is sent again until it meets the worker's own.
        """
        start = time.monotonic()
        request = _request(model, prompt, pin)
        reply = await self._post(request)
        if pin and reply.status_code == httpx.codes.BAD_REQUEST and await self._has_generations():
            for _ in range(_GENERATION_TRIES):
                await asyncio.sleep(_GENERATION_PAUSE)
                reply = await self._post(request)
                if reply.status_code != httpx.codes.BAD_REQUEST:
                    break
        _accept(reply)
        return _answer([_Part.model_validate_json(reply.content)], time.monotonic() - start)

    async def _post(self, request: Mapping[str, Any]) -> httpx.Response:
        return await self._http.post(f"{self.url}/v1/chat/completions", json=request)

    async def _has_generations(self) -> bool:
        return len({worker.namespace for worker in await self.workers()}) > 1

    async def stream(self, model: str, prompt: str) -> Answer:
        """Ask for a completion as a stream of chunks that ends with `[DONE]`."""
        body = _request(model, prompt) | {"stream": True, "stream_options": {"include_usage": True}}
        start = time.monotonic()
        first_seconds: float | None = None
        parts: list[_Part] = []
        async with self._http.stream("POST", f"{self.url}/v1/chat/completions", json=body) as reply:
            if reply.is_error:
                await reply.aread()
            _accept(reply)
            async for data in _events(reply):
                first_seconds = first_seconds or time.monotonic() - start
                parts.append(_Part.model_validate_json(data))
        return _answer(parts, first_seconds or 0.0)

    async def _get(self, path: str) -> Any:
        reply = await self._http.get(self.url + path)
        _accept(reply)
        return reply.json()


def _request(model: str, prompt: str, pin: Pin | None = None) -> dict[str, Any]:
    extras: dict[str, Any] = {"extra_fields": ["worker_id", "timing"]}
    if pin:
        extras["decode_worker_id"] = pin.decode
    if pin and pin.prefill is not None:
        extras["prefill_worker_id"] = pin.prefill
    messages = [{"role": "user", "content": prompt}]
    return {"model": model, "messages": messages, "max_tokens": MAX_TOKENS, "nvext": extras}


async def _events(reply: httpx.Response) -> AsyncIterator[str]:
    """Yield the data of a stream's events up to `[DONE]`; a stream that ends otherwise is refused."""
    async for line in reply.aiter_lines():
        if line == "data: [DONE]":
            return
        if line.startswith("event: error"):
            raise RefusedError("the stream broke off with an error")
        if line.startswith("data: "):
            yield line.removeprefix("data: ")
    raise RefusedError("the stream ended without [DONE]")


def _accept(reply: httpx.Response) -> None:
    if reply.is_success:
        return
    try:
        text = str(reply.json()["message"])
    except (json.JSONDecodeError, KeyError, TypeError):
        text = reply.text
    raise RefusedError(f"answers {reply.status_code}: {' '.join(text.split())[:200] or 'no text'}")


def _answer(parts: Sequence[_Part], first_seconds: float) -> Answer:
    """Put the parts of a completion together; one that is not whole is refused."""
    reasons = [choice.finish_reason for part in parts for choice in part.choices if choice.finish_reason]
    usages = [part.usage for part in parts if part.usage]
    extras = [part.nvext for part in parts if part.nvext]
    if reasons not in (["length"], ["stop"]):
        raise RefusedError(f"finish reason {' and '.join(reasons) or 'missing'}, expected length or stop")
    if len(usages) != 1:
        raise RefusedError(f"usage given {len(usages)} times, expected once")
    usage = usages[0]
    if (
        not 1 <= usage.completion_tokens <= MAX_TOKENS
        or usage.prompt_tokens < 1
        or usage.total_tokens != usage.prompt_tokens + usage.completion_tokens
    ):
        raise RefusedError(
            f"usage counts {usage.prompt_tokens} prompt + {usage.completion_tokens} completion tokens as "
            f"{usage.total_tokens}, expected at most {MAX_TOKENS} completion tokens and the sum"
        )
    workers = next((extra.worker_id for extra in extras if extra.worker_id), _Workers())
    timing = next((extra.timing for extra in extras if extra.timing), _Timing())
    return Answer(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=(usage.prompt_tokens_details or _CacheUse()).cached_tokens or 0,
        prefill=workers.prefill_worker_id,
        decode=workers.decode_worker_id,
        hit_rate=timing.kv_hit_rate,
        first_ms=first_seconds * 1000,
    )
