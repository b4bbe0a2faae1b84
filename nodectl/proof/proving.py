"""Runs the checks of a proof one after another, each within its bound, up to the first that does not hold."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx

from nodectl.contract.proof import Check, ProofResult, ProofSpec
from nodectl.dynamo.calls import ANSWER_SECONDS, CheckError
from nodectl.proof.checks import Checks, Step

PAUSE: Final = 0.2
"""Seconds between two tries of a check."""
SILENCE: Final = 15.0
"""Seconds after which what is waited for is said again."""


@dataclass(frozen=True)
class Proof:
    """The result, and what only this run knows: whom to blame, and whether time ran out."""

    result: ProofResult
    blame: tuple[str, ...] = ()
    timed_out: bool = False


async def prove(spec: ProofSpec, progress: Callable[[str], None]) -> Proof:
    """Prove the deployment within `spec.seconds`; `progress` gets a line on what is waited for."""
    start = time.monotonic()
    end = start + spec.seconds
    completed: list[Check] = []
    blame: tuple[str, ...] = ()
    async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as http:
        checks = Checks(spec, http, end)
        for step in checks.steps():
            check, blame = await _hold(step, checks, end, progress)
            completed.append(check)
            if not check.ok:
                break
    now = time.monotonic()
    result = ProofResult(
        ok=completed[-1].ok,
        provedAt=datetime.now(UTC).isoformat(timespec="seconds"),
        digest=spec.digest,
        seconds=round(now - start, 3),
        checks=completed,
    )
    return Proof(result, blame, timed_out=not result.ok and now >= end)


async def _hold(
    step: Step, checks: Checks, end: float, progress: Callable[[str], None]
) -> tuple[Check, tuple[str, ...]]:
    """Ask until the check holds or its time is over; return it with the services to blame."""
    start = time.monotonic()
    checks.deadline = min(end, start + step.seconds)
    failure: CheckError | None = None
    reported_at = start
    while failure is None or time.monotonic() < checks.deadline:
        try:
            observation = await step.ask()
        except CheckError as error:
            now = time.monotonic()
            if failure is None or now < checks.deadline:  # a try that the bound cut short says less
                if str(error) != str(failure) or now - reported_at > SILENCE:
                    reported_at = now
                    progress(f"{step.name}  {error} ({now - start:.0f} s of {checks.deadline - start:.0f})")
                failure = error
            if error.hopeless:
                break
            await asyncio.sleep(PAUSE)
        else:
            return Check(name=step.name, ok=True, seconds=_since(start), seen=observation), ()
    return Check(name=step.name, ok=False, seconds=_since(start), seen=str(failure)), failure.blame


def _since(start: float) -> float:
    return round(time.monotonic() - start, 3)
