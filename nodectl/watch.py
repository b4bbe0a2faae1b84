"""`nodectl watch`: ends a machine that has nothing to do, and drains one that is about to be taken away.

It runs as root beside the services, under systemd. Only the head knows what its deployment does: it tells the
others through etcd, where each looks for itself. Nothing ends because something does not answer: that end is
`nodectl.lifetime`'s. Standard library only: it works whatever became of the environment.
"""

import json
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from typing import Any, Final

from nodectl import hostunits, options, programs, registration, unitfile
from nodectl.errors import NodectlError
from nodectl.files import read_if_there
from nodectl.idleness import Idleness, Load, Word, load
from nodectl.imds import Metadata, UnreachableError
from nodectl.layout import CODE, Layout
from nodectl.systemd import systemctl

UNIT: Final = f"{unitfile.HOST_PREFIX}watch.service"

_UNIT_TEXT: Final = """\
[Unit]
Description=idleness and interruption of this machine (dynamo-multinode)
After=network.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={run} node watch --root {root}
Restart=always
RestartSec=5
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
"""

_LOOK_SECONDS: Final = 5.0
"""How often: as EC2 recommends for its notice, 2 minutes before, that an instance is taken away."""

HEED_SECONDS: Final = 60.0
"""How long the head waits for the others to hear that all end, before it ends with their etcd."""

FRESH_SECONDS: Final = 120.0
"""What the head says is believed for so long: etcd keeps it, over a stop of all machines too."""

_SKEW_SECONDS: Final = 5.0
"""How far the clocks of two machines may be apart."""

_TOLD: Final = {
    "warn": "no requests: all machines of this deployment end in {warn_minutes} minutes, unless one comes",
    "call off": "requests again: this deployment goes on",
    "end": "no request for {idle_minutes} minutes: all machines of this deployment end now",
}
"""What the head says -> what is told on every machine."""

_DRAIN_MOST: Final = 75.0
"""Of the 2 minutes that EC2 gives: the rest is for workers to end."""

_CALL_SECONDS: Final = 2.0
_OFF: Final = (OSError, HTTPException, ValueError, KeyError)
"""What calls to frontends and to etcd fail with."""


def main(argv: Sequence[str]) -> int:
    """Watch until the machine ends."""
    parser = options.parser("watch", main.__doc__)
    watcher = Watcher(Layout.at(parser.parse_args(argv).root), Metadata())
    while True:
        watcher.look()
        time.sleep(_LOOK_SECONDS)


def keep(layout: Layout, *, wanted: bool) -> None:
    """Have a watch over the node at `layout`, run by this release of nodectl, or none."""
    if not wanted:
        hostunits.drop(UNIT)
        return
    run = CODE / "nodectl" / "run"
    hostunits.keep({UNIT: _UNIT_TEXT.format(run=run, root=layout.root)}, start=UNIT)


class Watcher:
    """Watches one machine, as the manifest of its node says at each moment."""

    def __init__(self, layout: Layout, metadata: Metadata) -> None:
        self._layout = layout
        self._metadata = metadata
        self._idleness: tuple[tuple[int, int], Idleness] | None = None
        self._told: str | None = None
        """What the head last said and everybody on this machine was told."""
        self._rebalance: str | None = None
        self._taken = False
        self._unreachable: str | None = None
        """What was last said of the metadata service."""

    def look(self) -> None:
        """Look once, and do what is due."""
        text = read_if_there(self._layout.manifest)
        manifest: dict[str, Any] = json.loads(text) if text else {}
        spec = manifest.get("watch")
        if spec is None:
            return
        if spec["spot"]:
            self._look_for_interruption(spec, manifest["services"])
        if spec["idle_minutes"] is not None:
            if spec["frontends"]:
                self._judge(spec)
            else:
                self._heed(spec)

    def _look_for_interruption(self, spec: Mapping[str, Any], services: Mapping[str, Any]) -> None:
        try:
            notice = self._metadata.interruption()
            rebalance = self._metadata.rebalance()
        except UnreachableError as error:
            if str(error) != self._unreachable:
                self._unreachable = str(error)
                print(f"spot: {error}", flush=True)
            return
        self._unreachable = None
        at = None if rebalance is None else str(rebalance.get("noticeTime"))
        if at is not None and at != self._rebalance:
            self._rebalance = at
            tell(f"EC2 recommends to replace this spot instance, it is likely to be interrupted ({at})")
        if notice is not None and not self._taken:
            self._taken = True
            self._drain(spec, services, notice)

    def _drain(self, spec: Mapping[str, Any], services: Mapping[str, Any], notice: Mapping[str, Any]) -> None:
        """Have requests go elsewhere, let those in flight end, and stop the workers while EC2 gives time."""
        tell(f"EC2 takes this spot instance away: {notice.get('action')} at {notice.get('time')}; draining")
        try:
            for one in registration.registered(spec["etcd"]):
                if one.component in registration.COMPONENTS and one.address in spec["workers"]:
                    registration.withdraw(spec["etcd"], one.key)
                    print(f"no more requests for {one.address}", flush=True)
            time.sleep(min(spec["drain_seconds"], _DRAIN_MOST))
        except _OFF as error:  # stopping a worker drains it as well, if not as early
            print(f"etcd does not answer: {error}", flush=True)
        stack, node = self._layout.root.parts[-2:]
        units = [f"{unitfile.PREFIX}.{stack}.{node}.{name}.service" for name in sorted(workers(services))]
        if units:
            print(f"stopping {', '.join(units)}", flush=True)
            systemctl("stop", "--no-block", "--", *units)

    def _judge(self, spec: Mapping[str, Any]) -> None:
        """On the head: see whether there is anything to do, and say so to all nodes where there is not."""
        limits = spec["idle_minutes"], spec["warn_minutes"]
        if self._idleness is None or self._idleness[0] != limits:
            self._idleness = limits, Idleness(60 * limits[0], 60 * limits[1])
        match self._idleness[1].see(time.monotonic(), _seen(spec["frontends"])):
            case Word.WARN:
                self._publish(spec, "warn")
                tell(_TOLD["warn"].format(**spec))
            case Word.CALL_OFF:
                self._publish(spec, "call off")
                tell(_TOLD["call off"].format(**spec))
            case Word.END if self._publish(spec, "end"):
                tell(_TOLD["end"].format(**spec))
                time.sleep(HEED_SECONDS)
                power_off()
            case _:
                pass

    def _publish(self, spec: Mapping[str, Any], word: str) -> bool:
        """Tell the other nodes; return whether etcd took it."""
        said = json.dumps({"word": word, "at": time.time()})
        try:
            registration.put(spec["etcd"], self._key(), said)
        except _OFF as error:
            print(f"{word}: etcd does not take it: {error}", flush=True)
            return False
        return True

    def _heed(self, spec: Mapping[str, Any]) -> None:
        """Elsewhere: do what the head says, where it said it just now and since this machine booted."""
        try:
            text = registration.get(spec["etcd"], self._key())
            said = {} if text is None else json.loads(text)
        except _OFF:
            return
        age = time.time() - said.get("at", 0)
        if not -_SKEW_SECONDS <= age <= min(FRESH_SECONDS, _uptime()):
            return
        if text != self._told:
            self._told = text
            tell(_TOLD[said["word"]].format(**spec))
        if said["word"] == "end":
            power_off()

    def _key(self) -> str:
        return f"/dynamo-multinode/{self._layout.root.parent.name}/idle"


def workers(services: Mapping[str, Any]) -> set[str]:
    """Return the services of a manifest that serve requests for the frontends."""
    return {name for name, one in services.items() if one["after"] and one["module"] != "dynamo.frontend"}


def tell(what: str) -> None:
    """Say it in the journal and to everybody who is logged in."""
    print(what, flush=True)
    if wall := programs.look("wall"):
        subprocess.run([wall, f"dynamo-multinode: {what}"], capture_output=True, check=False)


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
