"""Stops and starts the instances of a stack, waits for them, and says how far they are."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from account.login import Login, LoginError
from account.queries import POLL_SECONDS, instances
from account.responses import Instance
from nodectl.common.waiting import NotYetError, Progress, Wait

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

STOP_SECONDS: Final = 900
START_SECONDS: Final = 900
"""What a machine with eight GPUs and terabytes of memory may take to stop, and to start."""

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
        """Return the power over instances. Raises PowerError where nobody can act as `up` would."""
        try:
            return cls(login.open().client("ec2"), say)
        except LoginError as error:
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
        waiting = ""

        def reached() -> bool:
            nonlocal waiting
            now = self.there(ids)
            others = [name for name in ids if name not in now or now[name].state != state]
            if missing := [name for name in others if name not in now]:
                raise PowerError(f"{', '.join(missing)}: gone; `scripts/up` makes it anew")
            if others:
                waiting = _names(now, others)
                raise NotYetError(f"{len(ids) - len(others)} of {len(ids)} {state}; waiting for {waiting}")
            return True

        Wait(
            state,
            seconds,
            interval=POLL_SECONDS,
            progress=Progress(lambda moment: self.say(moment.seen), changes=True),
            failure=lambda _: PowerError(f"{waiting}: not {state} after {seconds:.0f} s; run it again"),
        ).until(reached)

    def _asked(self, request: Callable[[], T]) -> T:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            return request()
        except (BotoCoreError, ClientError) as error:
            raise PowerError(f"EC2: {error}") from None


def _names(found: dict[str, Instance], ids: Iterable[str]) -> str:
    return ", ".join(found[name].name or name for name in ids)
