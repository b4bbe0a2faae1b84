"""User data of an instance: SSH with the stack's host key, connections enough for `up`, and a deadline."""

from typing import Any, Final

import yaml

from nodectl.contract.runtime import Lifetime
from nodectl.host import deadline as units

_SSHD: Final = """\
# The head passes the connections to every worker on, many at once.
MaxStartups 200:30:400
MaxSessions 200
PasswordAuthentication no
"""
_SSHD_FILE: Final = "/etc/ssh/sshd_config.d/10-dynamo-multinode.conf"


_SHUTDOWN: Final = "/usr/sbin/shutdown"


def user_data(host_private_key: str, host_public_key: str, *, deadline: Lifetime | None = None) -> str:
    """Return the cloud-init configuration of every instance of a stack. It holds a secret: the host key.

    The deadline counts from each boot, so the text stays the same from one preview to the next.
    """
    config = {
        "ssh_deletekeys": True,
        "ssh_genkeytypes": [],
        "ssh_keys": {"ed25519_private": host_private_key, "ed25519_public": host_public_key},
        "write_files": [_file(_SSHD_FILE, _SSHD)],
        "runcmd": [["systemctl", "reload-or-restart", "ssh"]],
    }
    if deadline is not None:
        config |= _ending(deadline, config)
    return "#cloud-config\n" + yaml.safe_dump(config, sort_keys=False)


def _ending(deadline: Lifetime, config: dict[str, Any]) -> dict[str, Any]:
    """Return files and commands with the units of the deadline, which `up` then finds and keeps."""
    files = [_file(path, text) for path, text in units.files(deadline, _SHUTDOWN).items()]
    # what cloud-init runs, it runs last: an `up` that was quicker may have taken the units away
    commands = [
        ["systemctl", "daemon-reload"],
        ["sh", "-c", f"test ! -e {units.TIMER_FILE} || systemctl enable --now {units.TIMER}"],
    ]
    return {"write_files": [*config["write_files"], *files], "runcmd": [*commands, *config["runcmd"]]}


def _file(path: str, content: str) -> dict[str, str]:
    return {"path": path, "permissions": "0644", "content": content}
