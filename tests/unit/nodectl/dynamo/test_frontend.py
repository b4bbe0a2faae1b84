"""Answers of a frontend that count as complete."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from nodectl.dynamo.calls import RefusedError
from nodectl.dynamo.frontend import Answer, Frontend, Pin

USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 8,
    "total_tokens": 128,
    "prompt_tokens_details": {"cached_tokens": 96},
}
EXTRAS = {
    "worker_id": {"prefill_worker_id": 10, "decode_worker_id": 20},
    "timing": {"kv_hit_rate": 0.75},
}
WHOLE = {"choices": [{"finish_reason": "length"}], "usage": USAGE, "nvext": EXTRAS}
CHUNKS: list[dict[str, Any]] = [
    {"choices": [{"finish_reason": None}], "nvext": {"worker_id": EXTRAS["worker_id"]}},
    {"choices": [{"finish_reason": "length"}], "nvext": EXTRAS},
    {"choices": [], "usage": USAGE},
]


def events(chunks: list[dict[str, Any]], *end: str) -> str:
    return "\n\n".join([*(f"data: {json.dumps(chunk)}" for chunk in chunks), *end])


def ask(reply: httpx.Response, question: Callable[[Frontend], Any]) -> Answer:
    async def asked() -> Answer:
        transport = httpx.MockTransport(lambda request: reply)
        async with httpx.AsyncClient(transport=transport) as http:
            answer: Answer = await question(Frontend(http, "http://127.0.0.1:8000"))
            return answer

    return asyncio.run(asked())


def complete(reply: httpx.Response) -> Answer:
    return ask(reply, lambda frontend: frontend.complete("tiny", "Hello"))


def stream(reply: httpx.Response) -> Answer:
    return ask(reply, lambda frontend: frontend.stream("tiny", "Hello"))


@pytest.mark.parametrize(
    "answer",
    [
        lambda: complete(httpx.Response(200, json=WHOLE)),
        lambda: stream(httpx.Response(200, text=events(CHUNKS, "data: [DONE]"))),
    ],
    ids=["whole", "streamed"],
)
def test_an_answer_tells_tokens_cache_use_and_who_gave_it(answer: Callable[[], Answer]) -> None:
    found = answer()
    assert (found.prompt_tokens, found.completion_tokens, found.cached_tokens) == (120, 8, 96)
    assert (found.prefill, found.decode, found.hit_rate) == (10, 20, 0.75)


def test_without_a_kv_router_there_is_no_hit_rate() -> None:
    extras = {"worker_id": EXTRAS["worker_id"], "timing": {"ttft_ms": 5.0}}
    assert complete(httpx.Response(200, json=WHOLE | {"nvext": extras})).hit_rate is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"choices": [{"finish_reason": None}]}, "finish reason missing, expected length or stop"),
        ({"choices": [{"finish_reason": "error"}]}, "finish reason error, expected length or stop"),
        ({"usage": None}, "usage given 0 times, expected once"),
        ({"usage": USAGE | {"total_tokens": 120}}, "usage counts 120 prompt + 8 completion tokens as 120"),
        ({"usage": USAGE | {"completion_tokens": 0, "total_tokens": 120}}, "usage counts 120 prompt + 0"),
    ],
)
def test_an_answer_that_is_not_whole_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(RefusedError) as refused:
        complete(httpx.Response(200, json=WHOLE | change))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (events(CHUNKS), "the stream ended without [DONE]"),
        (events(CHUNKS[:1], "event: error\ndata: {}"), "the stream broke off with an error"),
        (events(CHUNKS[:1], "data: [DONE]"), "finish reason missing"),
        (events(CHUNKS[:2], "data: [DONE]"), "usage given 0 times"),
    ],
)
def test_a_stream_that_is_not_whole_is_refused(text: str, told: str) -> None:
    with pytest.raises(RefusedError) as refused:
        stream(httpx.Response(200, text=text))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (httpx.Response(500, json={"message": "no responders\nfor it"}), "answers 500: no responders for it"),
        (httpx.Response(502, text="<html>bad gateway</html>"), "answers 502: <html>bad gateway</html>"),
        (httpx.Response(503), "answers 503: no text"),
    ],
)
@pytest.mark.parametrize("question", [complete, stream])
def test_an_error_is_told_in_one_line(
    question: Callable[[httpx.Response], Answer], reply: httpx.Response, told: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        question(reply)
    assert str(refused.value) == told


@pytest.mark.parametrize(
    ("pin", "named"),
    [
        (Pin(decode=20), {"decode_worker_id": 20}),
        (Pin(decode=20, prefill=10), {"decode_worker_id": 20, "prefill_worker_id": 10}),
    ],
)
def test_a_pinned_request_names_its_workers(pin: Pin, named: dict[str, int]) -> None:
    sent: list[dict[str, Any]] = []

    def reply(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(200, json=WHOLE)

    async def asked() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(reply)) as http:
            await Frontend(http, "http://127.0.0.1:8000").complete("tiny", "Hello", pin)

    asyncio.run(asked())
    assert {key: sent[0]["nvext"].get(key) for key in named} == named
