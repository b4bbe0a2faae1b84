"""Powers a machine off a set time after each of its boots, by a timer of systemd and its `shutdown`.

Nothing else is needed for it to happen: no environment, no Python, no deployment that works. Whether a
machine that is off is stopped or gone is decided where it was bought.
"""

import subprocess

from nodectl.common import programs
from nodectl.contract.runtime import Lifetime
from nodectl.host import units
from nodectl.host.deadline import SERVICE, TIMER, texts


def keep(desired: Lifetime | None) -> None:
    """Set the machine's lifetime to `desired`, or to none.

    One that is over by now ends after its warning. A shutdown that was announced is called off where the
    lifetime changed.
    """
    if desired is None:
        if units.drop(TIMER, SERVICE):
            _call_off()
        return
    units.keep(texts(desired, programs.find("shutdown")), start=TIMER, before=_call_off)


def _call_off() -> None:
    """Take back an announcement; without one this does nothing."""
    subprocess.run([programs.find("shutdown"), "-c"], capture_output=True, check=False)
