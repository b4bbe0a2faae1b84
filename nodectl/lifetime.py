"""Powers a machine off a set time after each of its boots, by a timer of systemd and its `shutdown`.

Nothing else is needed for it to happen: no environment, no Python, no deployment that works. Whether a
machine that is off is stopped or gone is decided where it was bought. Standard library only.
"""

import subprocess
from collections.abc import Mapping
from typing import Any, Final

from nodectl import hostunits, programs

NAME: Final = "dynamo-multinode-lifetime"
TIMER: Final = f"{NAME}.timer"
SERVICE: Final = f"{NAME}.service"

# `shutdown` itself says so in the journal and to everybody who is logged in, again and again.
_SERVICE_TEXT: Final = """\
[Unit]
Description=ends this machine's lifetime (dynamo-multinode)
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart={shutdown} --poweroff +{warning} "dynamo-multinode: the lifetime of this machine is over, \
{minutes} minutes after its boot (target.lifetime.maxMinutes); shutdown -c keeps it until its next boot"
Restart=on-failure
RestartSec=60
"""

_TIMER_TEXT: Final = """\
[Unit]
Description=lifetime of this machine (dynamo-multinode)

[Timer]
OnBootSec={first}min
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


def keep(wanted: Mapping[str, Any] | None) -> None:
    """Have the machine's lifetime be `wanted` (`nodectl.manifest.Lifetime`), or none.

    One that is over by now ends after its warning. A shutdown that was announced is called off where the
    lifetime changed.
    """
    if wanted is None:
        if hostunits.drop(TIMER, SERVICE):
            _call_off()
        return
    hostunits.keep(texts(wanted, programs.find("shutdown")), start=TIMER, before=_call_off)


def texts(wanted: Mapping[str, Any], shutdown: str) -> dict[str, str]:
    """Return the units: a timer that fires when the warning is due, and the shutdown that it announces."""
    minutes = int(wanted["minutes"])
    warning = min(int(wanted["warn_minutes"]), minutes)
    return {
        SERVICE: _SERVICE_TEXT.format(shutdown=shutdown, warning=warning, minutes=minutes),
        TIMER: _TIMER_TEXT.format(first=minutes - warning),
    }


def _call_off() -> None:
    """Take back an announcement; without one this does nothing."""
    subprocess.run([programs.find("shutdown"), "-c"], capture_output=True, check=False)
