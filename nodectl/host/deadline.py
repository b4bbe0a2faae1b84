"""The units that end a machine's lifetime: what `lifetime` keeps on it, and what its user data begins with.

Rendered in one place, so that `up` finds what an instance booted with.
"""

from typing import Final

from nodectl.contract.runtime import Lifetime
from nodectl.supervisors import unitfile
from nodectl.supervisors.unitfile import FOLDER

NAME: Final = "dynamo-multinode-lifetime"
TIMER: Final = f"{NAME}.timer"
TIMER_FILE: Final = FOLDER / TIMER
SERVICE: Final = f"{NAME}.service"


def texts(lifetime: Lifetime, shutdown: str) -> dict[str, str]:
    """Return the units: a timer that fires when the warning is due, and the shutdown that it announces."""
    minutes = lifetime.minutes
    warning = min(lifetime.warn_minutes, minutes)
    return {
        SERVICE: unitfile.render(
            {
                "Unit": {
                    "Description": "ends this machine's lifetime (dynamo-multinode)",
                    "StartLimitIntervalSec": "0",
                },
                "Service": {
                    "Type": "oneshot",
                    # `shutdown` itself says so in the journal and to everybody who is logged in, again
                    "ExecStart": f'{shutdown} --poweroff +{warning} "dynamo-multinode: the lifetime of this '
                    f"machine is over, {minutes} minutes after its boot (target.lifetime); shutdown -c keeps "
                    'it until its next boot"',
                    "Restart": "on-failure",
                    "RestartSec": "60",
                },
            }
        ),
        TIMER: unitfile.render(
            {
                "Unit": {"Description": "lifetime of this machine (dynamo-multinode)"},
                "Timer": {"OnBootSec": f"{minutes - warning}min", "AccuracySec": "1s"},
                "Install": {"WantedBy": "timers.target"},
            }
        ),
    }


def files(lifetime: Lifetime, shutdown: str) -> dict[str, str]:
    """Return the same by the paths that systemd reads them at."""
    return {str(FOLDER / name): text for name, text in texts(lifetime, shutdown).items()}
