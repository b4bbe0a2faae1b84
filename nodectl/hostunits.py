"""Units of a host that are no services of a node: what keeps its cache, ends its life, watches it.

Standard library only.
"""

from collections.abc import Mapping

from nodectl.files import read_if_there, write_atomically
from nodectl.systemd import systemctl
from nodectl.unitfile import FOLDER, HOST_PREFIX


def keep(texts: Mapping[str, str]) -> bool:
    """Have units of these names and texts, enabled where they can be; return whether anything changed.

    Names begin with `unitfile.HOST_PREFIX`, by which releases are kept.
    """
    if foreign := [name for name in texts if not name.startswith(HOST_PREFIX)]:
        raise ValueError(f"{foreign[0]}: units of a host begin with {HOST_PREFIX}")
    changed = {name for name, text in texts.items() if read_if_there(FOLDER / name) != text}
    for name in changed:
        write_atomically(FOLDER / name, texts[name])
    if changed:
        systemctl("daemon-reload")
    if enabled := [name for name, text in texts.items() if "\n[Install]\n" in text]:
        systemctl("--quiet", "enable", "--", *enabled)
    return bool(changed)


def start(name: str) -> None:
    """Start a unit anew, as it is now; what it comes after at boot may take minutes."""
    systemctl("restart", "--no-block", "--", name)


def drop(*names: str) -> bool:
    """Stop units and leave nothing of them; return whether there were any."""
    there = [name for name in names if (FOLDER / name).exists()]
    if there:
        systemctl("--quiet", "disable", "--now", "--", *there, tolerant=True)
        for name in there:
            (FOLDER / name).unlink()
        systemctl("daemon-reload")
    return bool(there)
