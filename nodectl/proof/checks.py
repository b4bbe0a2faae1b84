"""The checks of a proof, one method each: it returns what it saw, or raises CheckError."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Final

import httpx

from nodectl.contract.proof import ProofInstance, ProofSpec
from nodectl.dynamo.calls import ANSWER_SECONDS, LOOK_SECONDS, CheckError, RefusedError, bounded
from nodectl.dynamo.frontend import Answer, Frontend, Pin
from nodectl.dynamo.registry import Registry, compare
from nodectl.proof import stores

SERVING_SECONDS: Final = 90.0
"""Seconds that completions are tried once all are healthy: first NIXL handshakes fail on busy nodes."""
PAUSES: Final = (0.0, 0.1, 0.3, 1.0, 2.0)
"""Seconds before each look at what follows a completion a little later: KV events and metrics."""

PROBE_WORDS: Final = 60
LONG_TOKENS: Final = 400
"""Fills three KV blocks of vLLM on a CPU (128 tokens each), and fits into a context of 512."""
TRANSFERRED: Final = "vllm:nixl_bytes_transferred_sum"
"""Bytes of KV cache that a decode worker received, in its metrics."""

FRONTEND: Final = "frontend"
"""Name of a frontend's service, on whichever node."""
BALANCER: Final = "balancer"
"""Name of the service before several frontends."""


@dataclass(frozen=True)
class Step:
    """One check: its name, for how long to ask again, and the question, answered by what was seen."""

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
    _received_before: dict[str, float] = field(default_factory=dict)

    def steps(self) -> list[Step]:
        """Return the checks in order: first of what may still be starting, then of what serves."""
        starting = [self.nats, self.etcd, self.frontend, self.registry, self.workers]
        serving = [self.model, self.pinned, self.completion]
        if self._of("prefill"):
            serving.append(self.disagg)
            if self.spec.engine == "vllm":
                serving.append(self.transfer)
        if self.spec.router == "kv":
            serving.append(self.routing)
        return [
            *(Step(ask.__name__, float(self.spec.seconds), ask) for ask in starting),
            *(Step(ask.__name__, SERVING_SECONDS, ask) for ask in serving),
        ]

    async def nats(self) -> str:
        start = time.monotonic()
        async with self._looking("NATS", "nats"):
            await stores.ask_jetstream(self.spec.nats)
        return f"JetStream answers, {_ms(start)}"

    async def etcd(self) -> str:
        start = time.monotonic()
        async with self._looking("etcd", "etcd"):
            await asyncio.to_thread(stores.write_and_read, self.spec.etcd)
        return f"written and read back, {_ms(start)}"

    async def frontend(self) -> str:
        for url in self._urls:
            async with self._looking(url, *self._serving(url)):
                await Frontend(self.http, url).workers()
        return "healthy: " + ", ".join(self._urls)

    async def registry(self) -> str:
        return str(await self._registry())

    async def workers(self) -> str:
        results = await asyncio.gather(*map(self._trouble, self.spec.instances))
        troubles = [trouble for trouble in results if trouble]
        count = f"{len(results) - len(troubles)} of {len(results)} healthy"
        if troubles:
            blame = [service for trouble in troubles for service in trouble.blame]
            raise CheckError(f"{count}; waiting for {', '.join(map(str, troubles))}", *blame)
        return count

    async def model(self) -> str:
        async with self._looking("frontend", FRONTEND):
            names = await self._first.models()
        if self.spec.model not in names:
            name_list = ", ".join(names) or "none"
            raise CheckError(
                f"listed: {name_list}; expected {self.spec.model}", FRONTEND, *self._one_of_each()
            )
        return f"{self.spec.model} is listed"

    async def pinned(self) -> str:
        await self._complete_by_each(PROBE_WORDS)
        count = len(self.spec.instances)
        return f"{count} of {count} workers answered a request meant for them alone"

    async def completion(self) -> str:
        prompt = _prompt(PROBE_WORDS)
        for url in self._urls:
            async with self._completing(url, *self._serving(url)):
                answer = await Frontend(self.http, url).complete(self.spec.model, prompt)
                stream = await Frontend(self.http, url).stream(self.spec.model, prompt)
                if answer.prompt_tokens != stream.prompt_tokens:
                    counts = f"{answer.prompt_tokens} tokens whole, {stream.prompt_tokens} streamed"
                    raise RefusedError(f"the same prompt counts {counts}")
        self._words_per_token = PROBE_WORDS / answer.prompt_tokens
        return f"{stream.completion_tokens} tokens, first after {stream.first_ms:.0f} ms, streamed and whole"

    async def disagg(self) -> str:
        answer = await self._complete(_prompt(PROBE_WORDS))
        if answer.prefill is None or answer.decode is None or answer.prefill == answer.decode:
            message = f"prefill by {answer.prefill}, decode by {answer.decode}: expected two workers"
            raise CheckError(message, *self._of("prefill"))
        services = {id_: service for service, id_ in (await self._registry()).ids.items()}
        prefill, decode = (services.get(id_, "a leaving worker") for id_ in (answer.prefill, answer.decode))
        return f"prefill by {prefill}, decode by {decode}"

    async def transfer(self) -> str:
        # kept over tries, since metrics follow late: those of one try may show in the next
        self._received_before = self._received_before or await self._received()
        await self._complete_by_each(self._long)
        for pause in PAUSES:
            await asyncio.sleep(pause)
            received = await self._received()
            increments = {
                service: received[service] - received_before
                for service, received_before in self._received_before.items()
            }
            if all(increments.values()):
                amounts = (f"{count / 1024:,.0f} KiB to {service}" for service, count in increments.items())
                return f"KV cache by NIXL: {', '.join(amounts)}"
        idle_services = [service for service, count in increments.items() if not count]
        raise CheckError(
            f"no KV cache came by NIXL to {', '.join(idle_services)} ({TRANSFERRED})", *idle_services
        )

    async def routing(self) -> str:
        prompt = _prompt(self._long)
        first_answer = await self._complete(prompt)
        if first_answer.hit_rate is None:
            raise CheckError("answers name no hit rate: the frontend's router mode is not kv", FRONTEND)
        holders = {first_answer.prefill}
        for pause in PAUSES:
            await asyncio.sleep(pause)
            answer = await self._complete(prompt)
            if answer.hit_rate and answer.prefill in holders:
                return self._hit(answer)
            holders.add(answer.prefill)
        raise CheckError("same prompt twice: the router knows no worker that holds it (KV events?)", FRONTEND)

    def _hit(self, answer: Answer) -> str:
        if self._of("prefill"):  # cached_tokens is then what the decode worker had
            return f"same prompt twice: {answer.hit_rate:.0%} of it from cache, same prefill worker"
        if not answer.cached_tokens:
            raise CheckError("same prompt twice: same worker, but nothing from its cache", FRONTEND)
        tokens = f"{answer.cached_tokens:,} of {answer.prompt_tokens:,} tokens"
        return f"same prompt twice: {tokens} from cache, same worker"

    @property
    def _first(self) -> Frontend:
        return Frontend(self.http, self.spec.frontends[0])

    @property
    def _urls(self) -> list[str]:
        """Every frontend, and the balancer of several."""
        return list(dict.fromkeys([*self.spec.frontends, self.spec.endpoint]))

    def _serving(self, url: str) -> list[str]:
        """Return the services to blame when `url` does not answer as it should."""
        return [FRONTEND] if url in self.spec.frontends else [BALANCER, FRONTEND]

    @property
    def _long(self) -> int:
        """Words of a long prompt."""
        return int(LONG_TOKENS * self._words_per_token)

    def _of(self, role: str) -> list[str]:
        return [instance.service for instance in self.spec.instances if instance.role == role]

    def _one_of_each(self) -> list[str]:
        """Return a worker of each role: the frontend has the model from them."""
        return list({instance.role: instance.service for instance in reversed(self.spec.instances)}.values())

    def _looking(self, peer: str, *blame: str) -> AbstractAsyncContextManager[None]:
        return bounded(self.deadline, LOOK_SECONDS, peer, *blame)

    def _completing(self, peer: str, *blame: str) -> AbstractAsyncContextManager[None]:
        return bounded(self.deadline, ANSWER_SECONDS, peer, *blame)

    async def _registry(self) -> Registry:
        async with self._looking("frontend", FRONTEND):
            workers = await self._first.workers()
        registry = compare(self.spec.instances, self.spec.namespace, workers)
        if registry.missing:
            blame = [name for instance in registry.missing for name in self._ranks(instance)]
            raise CheckError(str(registry), *blame)
        return registry

    async def _trouble(self, instance: ProofInstance) -> CheckError | None:
        """Return what is wrong with a worker's health, if anything."""
        try:
            async with self._looking(f"{instance.service} on {instance.node}", *self._ranks(instance)):
                reply = await self.http.get(f"http://{instance.system}/health")
                if reply.status_code != httpx.codes.OK:
                    raise RefusedError(f"answers {reply.status_code}")
        except CheckError as error:
            return error
        return None

    def _ranks(self, instance: ProofInstance) -> list[str]:
        """Return the services of an engine: one without HTTP may be why the engine does not come up."""
        return [instance.service, *instance.headless]

    async def _complete(self, prompt: str) -> Answer:
        async with self._completing("frontend", FRONTEND):
            return await self._first.complete(self.spec.model, prompt)

    async def _complete_by_each(self, words: int) -> None:
        """Make every worker take part in a completion of a new prompt, prefill and decode in pairs."""
        ids = (await self._registry()).ids
        prefills, decodes = self._of("prefill"), self._of("decode") or self._of("aggregated")
        count = max(len(prefills), len(decodes))
        pairs = zip(cycle(prefills or [None]), cycle(decodes), strict=False)
        for prefill, decode in islice(pairs, count):
            services = [service for service in (prefill, decode) if service]
            pin = Pin(decode=ids[decode], prefill=ids[prefill] if prefill else None)
            async with self._completing(" and ".join(services), *services):
                answer = await self._first.complete(self.spec.model, _prompt(words), pin)
                if answer.decode != pin.decode or (pin.prefill and answer.prefill != pin.prefill):
                    raise RefusedError(f"answered by {answer.prefill} and {answer.decode} instead")

    async def _received(self) -> dict[str, float]:
        """Return the bytes of KV cache that each decode worker received since it started."""
        received = {}
        for instance in self.spec.instances:
            if instance.role == "decode":
                async with self._looking(instance.service, instance.service):
                    metrics = (await self.http.get(f"http://{instance.system}/metrics")).text
                    lines = [line for line in metrics.splitlines() if line.startswith(TRANSFERRED)]
                    received[instance.service] = sum(float(line.rpartition(" ")[2]) for line in lines)
        return received


def _prompt(words: int) -> str:
    """Return a prompt that begins like no other, so that nothing of it is cached."""
    text = cycle(("the", "moon", "is", "far", "and", "cold"))
    return " ".join([secrets.token_hex(8), *islice(text, words)])


def _ms(start: float) -> str:
    return f"{(time.monotonic() - start) * 1000:.0f} ms"
