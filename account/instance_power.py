"""Stop and start the instances of a stack, wait for them, and report progress."""

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
"""Time limits: a machine with eight GPUs and terabytes of memory takes long to stop and start."""

_NOT_STOPPABLE: Final = {
    "spot": "a one-time spot instance cannot be stopped; `scripts/down` takes the whole stack down",
    "capacity-block": "a capacity block is paid for to its end, whether its instances run or not: "
    "stopping them would save nothing",
}

T = TypeVar("T")


class PowerError(Exception):
    """Instances cannot be stopped or started; the text gives reason and remedy."""


@dataclass(frozen=True)
class Power:
    """Stops and starts instances of one account and region. `say` gets each line of progress."""

    ec2: "EC2Client"
    say: Callable[[str], None]

    @classmethod
    def of(cls, login: Login, say: Callable[[str], None]) -> "Power":
        """Return it for a login. Raises PowerError if nobody can act as `up` would."""
        try:
            return cls(login.open().client("ec2"), say)
        except LoginError as error:
            raise PowerError(str(error)) from None

    def there(self, ids: Sequence[str]) -> dict[str, Instance]:
        """Return the instances that still exist, by id."""
        existing = self._request(lambda: instances(self.ec2, ids)) if ids else ()
        return {instance.id: instance for instance in existing}

    def stop(self, ids: Sequence[str]) -> list[str]:
        """Stop the instances; return the ids that were running. Raises PowerError if one cannot stop."""
        existing = self.there(ids)
        for instance in existing.values():
            if reason := _NOT_STOPPABLE.get(instance.bought):
                raise PowerError(f"{instance.name or instance.id}: {reason}")
        running = [name for name, instance in existing.items() if instance.runs]
        if running:
            self._request(lambda: self.ec2.stop_instances(InstanceIds=running))
        self._until(list(existing), "stopped", STOP_SECONDS)
        return running

    def start(self, ids: Sequence[str]) -> list[str]:
        """Start the instances that are stopped or stopping; return their ids once they run."""
        stopped = [
            name for name, instance in self.there(ids).items() if instance.state in ("stopping", "stopped")
        ]
        if stopped:
            self._until(stopped, "stopped", STOP_SECONDS)
            self._request(lambda: self.ec2.start_instances(InstanceIds=stopped))
            self._until(stopped, "running", START_SECONDS)
        return stopped

    def _until(self, ids: Sequence[str], state: str, seconds: float) -> None:
        """Wait until all are in a state. Raises PowerError after `seconds`, or if one is gone."""
        waiting = ""

        def reached() -> bool:
            nonlocal waiting
            existing = self.there(ids)
            pending = [name for name in ids if name not in existing or existing[name].state != state]
            if gone := [name for name in pending if name not in existing]:
                raise PowerError(f"{', '.join(gone)}: gone; `scripts/up` makes it anew")
            if pending:
                waiting = _names(existing, pending)
                raise NotYetError(f"{len(ids) - len(pending)} of {len(ids)} {state}; waiting for {waiting}")
            return True

        Wait(
            state,
            seconds,
            interval=POLL_SECONDS,
            progress=Progress(lambda moment: self.say(moment.seen), changes=True),
            failure=lambda _: PowerError(f"{waiting}: not {state} after {seconds:.0f} s; run it again"),
        ).until(reached)

    def _request(self, request: Callable[[], T]) -> T:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            return request()
        except (BotoCoreError, ClientError) as error:
            raise PowerError(f"EC2: {error}") from None


def _names(existing: dict[str, Instance], ids: Iterable[str]) -> str:
    return ", ".join(existing[name].name or name for name in ids)
