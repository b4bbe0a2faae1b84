"""What a proof asks of a deployment, one method a check. Each says what it saw, or raises UnmetError to be asked again."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Final

import etcd3gw
import httpx
import nats
import nats.errors
import requests
from etcd3gw.exceptions import Etcd3Exception
from pydantic import ValidationError

from nodectl.manifest import ProofInstance, ProofSpec
from nodectl.proof.frontend import Answer, Frontend, Pin, RefusedError
from nodectl.proof.registry import Registry, compare

ANSWER_SECONDS: Final = 30.0
"""How long one question may take. A first request to real vLLM on a busy machine takes many seconds."""
SERVING_SECONDS: Final = 90.0
"""How long a check may ask again once every worker is healthy: the first NIXL handshakes fail when nodes are busy."""
PAUSES: Final = (0.0, 0.1, 0.3, 1.0, 2.0)
"""Seconds before each look at what follows a request a little later: KV events and metrics."""
PROBE_WORDS: Final = 60
CACHED_TOKENS: Final = 400
"""Length of prompts that must fill several KV blocks and fit into the smallest context (512)."""
KEY_SECONDS: Final = 60
TRANSFERRED: Final = "vllm:nixl_bytes_transferred_sum"


class UnmetError(Exception):
    """What was expected is not there (yet). `blame` names the services whose logs may say why."""

    def __init__(self, seen: str, *blame: str) -> None:
        super().__init__(seen)
        self.blame = blame


@dataclass(frozen=True)
class Step:
    """One check: its name, how long it may be asked again, and the question, whose answer is what was seen."""

    name: str
    seconds: float
    ask: Callable[[], Awaitable[str]]


@dataclass
class Checks:
    """The questions to one deployment."""

    spec: ProofSpec
    http: httpx.AsyncClient
    deadline: float
    """End of the running step, on the monotonic clock."""
    _words_per_token: float = 0.5
    _bytes_before: dict[str, float] = field(default_factory=dict)

    def steps(self) -> list[Step]:
        """Return the checks that this deployment is due, in order."""
        start = float(self.spec.seconds)
        steps = [
            Step("nats", start, self.nats),
            Step("etcd", start, self.etcd),
            Step("frontend", start, self.frontend),
            Step("registry", start, self.registry),
            Step("workers", start, self.workers),
            Step("model", SERVING_SECONDS, self.model),
            Step("pinned", SERVING_SECONDS, self.pinned),
            Step("completion", SERVING_SECONDS, self.completion),
        ]
        if self._of("prefill"):
            steps.append(Step("disagg", SERVING_SECONDS, self.disagg))
        if self._of("prefill") and self.spec.engine == "vllm":
            steps.append(Step("transfer", SERVING_SECONDS, self.transfer))
        if self.spec.router == "kv":
            steps.append(Step("routing", SERVING_SECONDS, self.routing))
        return steps

    async def nats(self) -> str:
        async with self._asking("NATS", "nats"):
            client = await nats.connect(self.spec.nats, allow_reconnect=False, error_cb=_silent)
            try:
                begun = time.monotonic()
                await client.jetstream().account_info()
                return f"JetStream answers, {_ms(begun)}"
            except nats.errors.NoRespondersError:
                raise UnmetError("NATS answers without JetStream: start it with -js", "nats") from None
            finally:
                await client.close()

    async def etcd(self) -> str:
        begun = time.monotonic()
        async with self._asking("etcd", "etcd"):
            await asyncio.to_thread(_write_and_read, self.spec.etcd)
        return f"written and read back, {_ms(begun)}"

    async def frontend(self) -> str:
        for index, url in enumerate(self.spec.frontends):
            async with self._asking(url, f"frontend-{index}"):
                await Frontend(self.http, url).workers()
        return "healthy: " + ", ".join(self.spec.frontends)

    async def registry(self) -> str:
        return str(await self._registry())

    async def workers(self) -> str:
        found = await asyncio.gather(*map(self._health, self.spec.instances), return_exceptions=True)
        troubles = [trouble for trouble in found if isinstance(trouble, UnmetError)]
        count = f"{len(found) - len(troubles)} of {len(found)} healthy"
        if troubles:
            blame = [service for trouble in troubles for service in trouble.blame]
            raise UnmetError(f"{count}; waiting for {', '.join(map(str, troubles))}", *blame)
        return count

    async def model(self) -> str:
        async with self._asking("the frontend", "frontend-0"):
            names = await self._first.models()
        if self.spec.model not in names:
            raise UnmetError(
                f"listed: {', '.join(names) or 'none'}; expected {self.spec.model}", "frontend-0"
            )
        return f"{self.spec.model} is listed"

    async def pinned(self) -> str:
        pairs = self._pairs()
        ids = (await self._registry()).ids
        for pair in pairs:
            await self._complete_pinned(pair, ids, _prompt(PROBE_WORDS))
        return f"each of {len(self.spec.instances)} workers answered a request meant for it"

    async def completion(self) -> str:
        prompt = _prompt(PROBE_WORDS)
        for url in dict.fromkeys([*self.spec.frontends, self.spec.endpoint]):
            async with self._asking(url, "frontend-0"):
                whole = await Frontend(self.http, url).complete(self.spec.model, prompt)
                streamed = await Frontend(self.http, url).stream(self.spec.model, prompt)
            if whole.prompt_tokens != streamed.prompt_tokens:
                counts = f"{whole.prompt_tokens} tokens whole and {streamed.prompt_tokens} streamed"
                raise UnmetError(f"{url} counts the same prompt as {counts}", "frontend-0")
        self._words_per_token = PROBE_WORDS / whole.prompt_tokens
        return (
            f"{streamed.completion_tokens} tokens, first after {streamed.first_ms:.0f} ms, streamed and whole"
        )

    async def disagg(self) -> str:
        answer = await self._complete(_prompt(PROBE_WORDS))
        if answer.prefill is None or answer.decode is None or answer.prefill == answer.decode:
            seen = f"prefill by {answer.prefill}, decode by {answer.decode}: expected two workers"
            raise UnmetError(seen, *self._of("prefill"))
        names = {worker: service for service, worker in (await self._registry()).ids.items()}
        prefill, decode = (
            names.get(worker, "a leaving worker") for worker in (answer.prefill, answer.decode)
        )
        return f"prefill by {prefill}, decode by {decode}"

    async def transfer(self) -> str:
        if not self._bytes_before:
            self._bytes_before = await self._transferred()
        ids = (await self._registry()).ids
        for pair in self._pairs():
            await self._complete_pinned(pair, ids, self._long_prompt())
        for pause in PAUSES:
            await asyncio.sleep(pause)
            after = await self._transferred()
            moved = {service: after[service] - before for service, before in self._bytes_before.items()}
            if all(count > 0 for count in moved.values()):
                return ", ".join(f"{count / 1024:,.0f} KiB of KV to {name}" for name, count in moved.items())
        idle = [service for service, count in moved.items() if count <= 0]
        raise UnmetError(f"no KV cache came to {', '.join(idle)} by NIXL ({TRANSFERRED})", *idle)

    async def routing(self) -> str:
        prompt = self._long_prompt()
        answered_by = {(await self._complete(prompt)).prefill}
        for pause in PAUSES:
            await asyncio.sleep(pause)
            again = await self._complete(prompt)
            if again.hit_rate and again.prefill in answered_by:
                return self._hit(again)
            answered_by.add(again.prefill)
        known = "no KV router" if again.hit_rate is None else f"the router knew {again.hit_rate:.0%} of it"
        raise UnmetError(f"a repeated prompt of {again.prompt_tokens} tokens: {known}", "frontend-0")

    def _hit(self, answer: Answer) -> str:
        if self._of("prefill"):
            return f"same prompt twice: same prefill worker, which had {answer.hit_rate:.0%} of it"
        if not answer.cached_tokens:
            raise UnmetError("the router repeats a prompt on its worker, which finds none of it in its cache")
        return f"same prompt twice: {answer.cached_tokens:,} of {answer.prompt_tokens:,} tokens from cache, same worker"

    @property
    def _first(self) -> Frontend:
        return Frontend(self.http, self.spec.frontends[0])

    def _of(self, role: str) -> list[str]:
        return [instance.service for instance in self.spec.instances if instance.role == role]

    def _pairs(self) -> list[tuple[str | None, str]]:
        """Return prefill and decode services so that each is in at least one pair."""
        prefill, decode = self._of("prefill"), self._of("decode") or self._of("aggregated")
        count = max(len(prefill), len(decode))
        return list(zip(islice(cycle(prefill or [None]), count), islice(cycle(decode), count), strict=True))

    def _long_prompt(self) -> str:
        return _prompt(int(CACHED_TOKENS * self._words_per_token))

    async def _registry(self) -> Registry:
        async with self._asking("the frontend", "frontend-0"):
            listed = await self._first.workers()
        registry = compare(self.spec.instances, self.spec.namespace, listed)
        if registry.missing:
            raise UnmetError(str(registry), *(instance.service for instance in registry.missing))
        return registry

    async def _health(self, instance: ProofInstance) -> None:
        async with self._asking(f"{instance.service} on {instance.node}", instance.service):
            reply = await self.http.get(f"http://{instance.system}/health")
            if reply.status_code != httpx.codes.OK:
                raise RefusedError(f"answers {reply.status_code}")

    async def _complete(self, prompt: str) -> Answer:
        async with self._asking("the frontend", "frontend-0"):
            return await self._first.complete(self.spec.model, prompt)

    async def _complete_pinned(self, pair: tuple[str | None, str], ids: dict[str, int], prompt: str) -> None:
        prefill, decode = pair
        services = [service for service in pair if service]
        pin = Pin(decode=ids[decode], prefill=ids[prefill] if prefill else None)
        async with self._asking(" and ".join(services), *services):
            answer = await self._first.complete(self.spec.model, prompt, pin)
            if answer.decode != pin.decode or (prefill and answer.prefill != pin.prefill):
                raise RefusedError(f"other workers answered ({answer.prefill} and {answer.decode})")

    async def _transferred(self) -> dict[str, float]:
        """Return the bytes of KV cache that each decode worker received since it started."""
        received: dict[str, float] = {}
        for instance in self.spec.instances:
            if instance.role == "decode":
                async with self._asking(instance.service, instance.service):
                    metrics = (await self.http.get(f"http://{instance.system}/metrics")).text
                lines = [line for line in metrics.splitlines() if line.startswith(TRANSFERRED)]
                received[instance.service] = sum(float(line.rpartition(" ")[2]) for line in lines)
        return received

    @asynccontextmanager
    async def _asking(self, whom: str, *blame: str) -> AsyncIterator[None]:
        """Bound a question, and turn whatever goes wrong with it into an UnmetError that names `whom`."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(min(ANSWER_SECONDS, self.deadline - begun)):
                yield
        except (TimeoutError, nats.errors.TimeoutError):
            waited = time.monotonic() - begun
            raise UnmetError(f"{whom}: no answer within {waited:.0f} s", *blame) from None
        except (httpx.ConnectError, ConnectionError, nats.errors.NoServersError) as error:
            raise UnmetError(f"{whom}: no connection", *blame) from error
        except (OSError, httpx.HTTPError, nats.errors.Error, Etcd3Exception) as error:
            raise UnmetError(f"{whom}: {type(error).__name__} {error}".strip(), *blame) from error
        except (ValidationError, KeyError, TypeError, ValueError) as error:
            raise UnmetError(f"{whom}: the answer is not one of Dynamo 1.6", *blame) from error
        except RefusedError as error:
            raise UnmetError(f"{whom}: {error}", *blame) from error


def _prompt(words: int) -> str:
    """Return a prompt that no earlier one begins like, so that nothing of it can be cached."""
    return " ".join(
        [secrets.token_hex(8), *islice(cycle(("the", "moon", "is", "far", "and", "cold")), words)]
    )


def _write_and_read(address: str) -> None:
    host, port = address.rsplit(":", 1)
    session = requests.Session()
    session.trust_env = False  # nodes are never behind the proxy of the environment
    client = etcd3gw.client(host=host, port=int(port), timeout=ANSWER_SECONDS, session=session)
    lease = client.lease(ttl=KEY_SECONDS)
    key, value = f"/dynamo-multinode/proof/{lease.id}", secrets.token_hex(8)
    client.put(key, value, lease=lease)
    found = client.get(key)
    lease.revoke()
    if found != [value.encode()]:
        raise RefusedError("does not return what was written")


async def _silent(_: Exception) -> None:
    """Leave errors to the caller: nats-py would print them as well."""


def _ms(begun: float) -> str:
    return f"{(time.monotonic() - begun) * 1000:.0f} ms"
