"""A proof detects the transfer of KV cache from decode workers' metrics before and after."""

import asyncio
import json
import time

import httpx
import pytest

from nodectl.dynamo.calls import CheckError
from nodectl.proof import checks
from tests.proof_specs import NAMESPACE, spec, worker

ADDRESSES = {"prefill-0": "127.0.0.1", "decode-0": "127.0.0.2", "decode-1": "127.0.0.3"}
IDS = {"prefill-0": 10, "decode-0": 20, "decode-1": 30}
KIB_A_REQUEST = 512
SPEC = spec(
    "127.0.0.1",
    engine="vllm",
    seconds=5,
    instances=[worker(service, 1, address) for service, address in ADDRESSES.items()],
)


class FakeCluster:
    """Answers as a frontend and its workers do; `computing` decode workers take no KV cache over."""

    def __init__(self, *computing: str) -> None:
        self.computing = computing
        self.received = {"decode-0": 4096.0, "decode-1": 0.0}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/metrics":
            service = next(name for name, address in ADDRESSES.items() if address == request.url.host)
            text = f'vllm:nixl_bytes_transferred_sum{{engine="0"}} {self.received[service]:e}\n'
            return httpx.Response(200, text=text)
        if request.url.path == "/health":
            return httpx.Response(200, json={"instances": [self._listed(service) for service in IDS]})
        return self._complete(json.loads(request.content)["nvext"])

    def _listed(self, service: str) -> dict[str, object]:
        component = "prefill" if service == "prefill-0" else "backend"
        return {
            "instance_id": IDS[service],
            "endpoint": "generate",
            "namespace": NAMESPACE,
            "component": component,
            "transport": {"tcp": f"{ADDRESSES[service]}:9401/abc/{component}/generate"},
        }

    def _complete(self, pin: dict[str, int]) -> httpx.Response:
        decode = next(service for service, id_ in IDS.items() if id_ == pin["decode_worker_id"])
        if decode not in self.computing:
            self.received[decode] += KIB_A_REQUEST * 1024
        return httpx.Response(
            200,
            json={
                "choices": [{"finish_reason": "length"}],
                "usage": {"prompt_tokens": 400, "completion_tokens": 8, "total_tokens": 408},
                "nvext": {"worker_id": {key: pin[key] for key in ("prefill_worker_id", "decode_worker_id")}},
            },
        )


def transfer(cluster: FakeCluster) -> str:
    async def asked() -> str:
        async with httpx.AsyncClient(transport=httpx.MockTransport(cluster)) as http:
            return await checks.Checks(SPEC, http, time.monotonic() + 5).transfer()

    return asyncio.run(asked())


def test_kv_cache_that_came_to_every_decode_worker_is_shown() -> None:
    assert transfer(FakeCluster()) == "KV cache by NIXL: 512 KiB to decode-0, 512 KiB to decode-1"


def test_a_decode_worker_that_computes_prompts_itself_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PAUSES", (0.0,))
    with pytest.raises(CheckError) as unmet:
        transfer(FakeCluster("decode-1"))
    assert str(unmet.value).startswith("no KV cache came by NIXL to decode-1 (")
    assert unmet.value.blame == ("decode-1",)
