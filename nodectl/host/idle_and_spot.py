"""Stops a machine that is idle, and drains one that EC2 is about to take away.

It runs as root beside the services, under systemd. Only the head knows what its deployment does: it tells the
others through etcd, where each looks for itself. Nothing ends because something does not answer: that end is
`nodectl.host.lifetime`'s.
"""

import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from typing import Final, Literal

from nodectl.common import programs
from nodectl.common.errors import BadInputError, NodectlError, NothingAppliedError
from nodectl.common.layout import CODE, Layout
from nodectl.contract import codec, documents
from nodectl.contract.manifest import Service, Watch
from nodectl.etcd import registration
from nodectl.host import units
from nodectl.host.idleness import Idleness, Load, Word, load
from nodectl.host.imds import Metadata, UnreachableError
from nodectl.supervisors import unitfile
from nodectl.supervisors.systemd import systemctl

UNIT: Final = f"{unitfile.HOST_PREFIX}watch.service"

LOOK_SECONDS: Final = 5.0
"""Seconds between looks, as EC2 recommends for its notice, 2 minutes before it takes an instance away."""

HEED_SECONDS: Final = 60.0
"""Seconds that the head waits for the others to hear that all end, before it ends with their etcd."""

FRESH_SECONDS: Final = 120.0
"""Seconds that an order of the head is valid: etcd keeps it, over a stop of all machines too."""

_SKEW_SECONDS: Final = 5.0
"""Seconds that the clocks of two machines may be apart."""

Message = Literal["warn", "call off", "end"]

_TOLD: Final[Mapping[Message, str]] = {
    "warn": "no requests: all machines of this deployment end in {warn_minutes} minutes, unless one comes",
    "call off": "requests again: this deployment goes on",
    "end": "no request for {idle_minutes} minutes: all machines of this deployment end now",
}
"""Order of the head -> the message that every machine shows its users."""

_DRAIN_MOST: Final = 75.0
"""Of the 2 minutes that EC2 gives: the rest is for workers to end."""

_ENDS_EARLY: Final = 30 * 60.0
"""EC2 begins to terminate the instances of a capacity block so long before its end."""

_WARN_MINUTES: Final = 10

_LEAVE_SECONDS: Final = 300.0
"""Seconds before that to begin draining at, to be off in time: drained and stopped, twice 75 s."""

_ENDS_FORMAT: Final = "%Y-%m-%dT%H:%M:%S%z"

_CALL_SECONDS: Final = 2.0
_OFF: Final = (OSError, HTTPException, ValueError, KeyError)
"""Errors of calls to frontends and to etcd."""


def keep(layout: Layout, *, wanted: bool) -> None:
    """Install the unit that runs `nodectl watch` for the node at `layout`, or remove it."""
    if not wanted:
        units.drop(UNIT)
        return
    units.keep({UNIT: _unit_text(layout)}, start=UNIT)


def _unit_text(layout: Layout) -> str:
    return unitfile.render(
        {
            "Unit": {
                "Description": "idleness and interruption of this machine (dynamo-multinode)",
                "After": "network.target",
                "StartLimitIntervalSec": "0",
            },
            "Service": {
                "Type": "exec",
                "ExecStart": f"{CODE / 'nodectl' / 'run'} node watch --root {layout.root}",
                "Restart": "always",
                "RestartSec": "5",
                "OOMScoreAdjust": "-900",
            },
            "Install": {"WantedBy": "multi-user.target"},
        }
    )


@dataclass(frozen=True)
class Order:
    """An order of the head to the others."""

    word: Message
    at: float
    """Time of the order, in seconds since 1970."""


class Watcher:
    """Watches one machine, as the manifest of its node says at each moment."""

    def __init__(self, layout: Layout, metadata: Metadata) -> None:
        self._layout = layout
        self._metadata = metadata
        self._idleness: tuple[tuple[int, int], Idleness] | None = None
        self._told: str | None = None
        """The last order of the head that the users of this machine were told."""
        self._rebalance: str | None = None
        self._taken = False
        self._end_told = False
        self._unreachable: str | None = None
        """The last error of the metadata service that was reported."""

    def look(self) -> None:
        """Look once, and do what is due."""
        try:
            manifest = documents.applied(self._layout)
        except NothingAppliedError:  # by now, or not yet
            return
        spec = manifest.watch
        if spec is None:
            return
        if spec.spot:
            self._look_for_interruption(spec, manifest.services)
        if spec.ends is not None:
            self._look_at_the_end(spec, spec.ends, manifest.services)
        if spec.idle_minutes is not None:
            if spec.frontends:
                self._judge(spec, spec.idle_minutes)
            else:
                self._heed(spec)

    def _look_for_interruption(self, spec: Watch, services: Mapping[str, Service]) -> None:
        try:
            notice = self._metadata.interruption()
            rebalance = self._metadata.rebalance()
        except UnreachableError as error:
            if str(error) != self._unreachable:
                self._unreachable = str(error)
                print(f"spot: {error}", flush=True)
            return
        self._unreachable = None
        issued_at = None if rebalance is None else str(rebalance.get("noticeTime"))
        if issued_at is not None and issued_at != self._rebalance:
            self._rebalance = issued_at
            tell(
                f"EC2 recommends to replace this spot instance, it is likely to be interrupted ({issued_at})"
            )
        if notice is not None and not self._taken:
            self._taken = True
            tell(
                f"EC2 takes this spot instance away: {notice.get('action')} at {notice.get('time')}; draining"
            )
            self._drain(spec, services)

    def _look_at_the_end(self, spec: Watch, ends: str, services: Mapping[str, Service]) -> None:
        """Say that the capacity block ends; before EC2 takes the machine away drain it, and power it off."""
        seconds_left = leaving(ends) - time.time()
        if seconds_left > 60 * max(spec.warn_minutes, _WARN_MINUTES):
            return
        if not self._end_told:
            self._end_told = True
            tell(f"the capacity block ends at {ends}: this machine drains and ends before, in minutes")
        if seconds_left <= 0:
            if not self._taken:
                self._taken = True
                tell("the capacity block ends: draining")
                self._drain(spec, services)
            power_off()

    def _drain(self, spec: Watch, services: Mapping[str, Service]) -> None:
        """Send requests elsewhere, let those in flight end, and stop the workers while EC2 gives time."""
        try:
            for endpoint in registration.registered(spec.etcd):
                if endpoint.component in registration.COMPONENTS and endpoint.address in spec.workers:
                    registration.withdraw(spec.etcd, endpoint.key)
                    print(f"no more requests for {endpoint.address}", flush=True)
            time.sleep(min(spec.drain_seconds, _DRAIN_MOST))
        except _OFF as error:  # stopping a worker drains it as well, if not as early
            print(f"etcd does not answer: {error}", flush=True)
        stack, node = self._layout.root.parts[-2:]
        unit_names = [
            f"{unitfile.PREFIX}.{stack}.{node}.{name}.service" for name in sorted(workers(services))
        ]
        if unit_names:
            print(f"stopping {', '.join(unit_names)}", flush=True)
            systemctl("stop", "--no-block", "--", *unit_names)

    def _judge(self, spec: Watch, idle_minutes: int) -> None:
        """On the head: see whether there is anything to do, and say so to all nodes where there is not."""
        limits = idle_minutes, spec.warn_minutes
        if self._idleness is None or self._idleness[0] != limits:
            self._idleness = limits, Idleness(60 * limits[0], 60 * limits[1])
        match self._idleness[1].see(time.monotonic(), _seen(spec.frontends)):
            case Word.WARN:
                self._publish(spec, "warn")
                tell(_TOLD["warn"].format(**vars(spec)))
            case Word.CALL_OFF:
                self._publish(spec, "call off")
                tell(_TOLD["call off"].format(**vars(spec)))
            case Word.END if self._publish(spec, "end"):
                tell(_TOLD["end"].format(**vars(spec)))
                time.sleep(HEED_SECONDS)
                power_off()
            case _:
                pass

    def _publish(self, spec: Watch, word: Message) -> bool:
        """Tell the other nodes; return whether etcd took it."""
        try:
            registration.put(spec.etcd, self._key(), codec.written(Order(word, time.time())))
        except _OFF as error:
            print(f"{word}: etcd does not take it: {error}", flush=True)
            return False
        return True

    def _heed(self, spec: Watch) -> None:
        """Elsewhere: do what the head says, where it said it just now and since this machine booted."""
        try:
            text = registration.get(spec.etcd, self._key())
            if text is None:
                return
            order = codec.read(Order, text, "an order of the head", "etcd")
        except (*_OFF, BadInputError):
            return
        age = time.time() - order.at
        if not -_SKEW_SECONDS <= age <= min(FRESH_SECONDS, _uptime()):
            return
        if text != self._told:
            self._told = text
            tell(_TOLD[order.word].format(**vars(spec)))
        if order.word == "end":
            power_off()

    def _key(self) -> str:
        return f"/dynamo-multinode/{self._layout.root.parent.name}/idle"


def leaving(ends: str) -> float:
    """Return when a machine leaves a capacity block that ends then: seconds since 1970."""
    return datetime.strptime(ends, _ENDS_FORMAT).timestamp() - _ENDS_EARLY - _LEAVE_SECONDS


def workers(services: Mapping[str, Service]) -> set[str]:
    """Return the services of a manifest that serve requests for the frontends."""
    return {
        name for name, service in services.items() if service.after and service.module != "dynamo.frontend"
    }


def tell(message: str) -> None:
    """Say it in the journal and to everybody who is logged in."""
    print(message, flush=True)
    if wall := programs.look("wall"):
        subprocess.run([wall, f"dynamo-multinode: {message}"], capture_output=True, check=False)


def power_off() -> None:
    """Power the machine off, as in any shutdown; where that fails the next look tries again."""
    try:
        systemctl("poweroff")
    except NodectlError as error:
        print(f"power-off: {error}", flush=True)


def _seen(frontends: Sequence[str]) -> Load | None:
    """Return the load of all frontends; None where one does not answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        pages = [
            opener.open(f"{url}/metrics", timeout=_CALL_SECONDS).read().decode(errors="replace")
            for url in frontends
        ]
    except _OFF:
        return None
    return load(pages)


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
