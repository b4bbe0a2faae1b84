"""Stops and starts the instances of a stack, waits for them, and says how far they are."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from account.answers import Instance
from account.asking import instances
from account.login import NOBODY, Login, bounded

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

STOP_SECONDS: Final = 900
START_SECONDS: Final = 900
"""What a machine with eight GPUs and terabytes of memory may take to stop, and to start."""

_POLL_SECONDS: Final = 5.0

_WHY_NOT: Final = {
    "spot": "a one-time spot instance cannot be stopped; `scripts/down` takes the whole stack down",
    "capacity-block": "a capacity block is paid for to its end, whether its instances run or not: "
    "stopping them would save nothing",
}

T = TypeVar("T")


class PowerError(Exception):
    """Instances cannot be stopped or started; the text says why and what to do."""


@dataclass(frozen=True)
class Power:
    """Some instances of one account and region. `say` is told what happens."""

    ec2: "EC2Client"
    say: Callable[[str], None]

    @classmethod
    def of(cls, login: Login, say: Callable[[str], None]) -> "Power":
        """Return the power over instances of an account. Raises PowerError without credentials."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        try:
            session = login.session()
            if session.get_credentials() is None:
                raise PowerError(NOBODY)
            return cls(session.client("ec2", config=bounded()), say)
        except BotoCoreError as error:
            raise PowerError(str(error)) from None

    def there(self, ids: Sequence[str]) -> dict[str, Instance]:
        """Return those of the instances that are not gone, by their ids."""
        return {each.id: each for each in self._asked(lambda: instances(self.ec2, ids))} if ids else {}

    def stop(self, ids: Sequence[str]) -> list[str]:
        """Stop the instances; return those that were still running. Raises PowerError where one cannot be."""
        found = self.there(ids)
        for each in found.values():
            if why := _WHY_NOT.get(each.bought):
                raise PowerError(f"{each.name or each.id}: {why}")
        running = [name for name, each in found.items() if each.runs]
        if running:
            self._asked(lambda: self.ec2.stop_instances(InstanceIds=running))
        self._until(list(found), "stopped", STOP_SECONDS)
        return running

    def start(self, ids: Sequence[str]) -> list[str]:
        """Start those of the instances that are stopped or stopping; return them once they run."""
        asleep = [name for name, each in self.there(ids).items() if each.state in ("stopping", "stopped")]
        if asleep:
            self._until(asleep, "stopped", STOP_SECONDS)
            self._asked(lambda: self.ec2.start_instances(InstanceIds=asleep))
            self._until(asleep, "running", START_SECONDS)
        return asleep

    def _until(self, ids: Sequence[str], state: str, seconds: float) -> None:
        """Wait until all are in a state. Raises PowerError where some are not in time, or are gone."""
        deadline, told = time.monotonic() + seconds, ""
        while True:
            now = self.there(ids)
            waiting = [name for name in ids if name not in now or now[name].state != state]
            if not waiting:
                return
            missing = [name for name in waiting if name not in now]
            if missing:
                raise PowerError(f"{', '.join(missing)}: gone; `scripts/up` makes it anew")
            if time.monotonic() >= deadline:
                raise PowerError(f"{_names(now, waiting)}: not {state} after {seconds:.0f} s; run it again")
            progress = f"{len(ids) - len(waiting)} of {len(ids)} {state}; waiting for {_names(now, waiting)}"
            if progress != told:
                self.say(progress)
                told = progress
            time.sleep(_POLL_SECONDS)

    def _asked(self, request: Callable[[], T]) -> T:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            return request()
        except (BotoCoreError, ClientError) as error:
            raise PowerError(f"EC2: {error}") from None


def _names(found: dict[str, Instance], ids: Iterable[str]) -> str:
    return ", ".join(found[name].name or name for name in ids)
