"""What an instance boots with: SSH with the stack's host key, and as many connections as `up` makes."""

from typing import Final

import yaml

_SSHD: Final = """\
# The head passes the connections to every worker on, many at once.
MaxStartups 200:30:400
MaxSessions 200
PasswordAuthentication no
"""
_SSHD_FILE: Final = "/etc/ssh/sshd_config.d/10-dynamo-multinode.conf"


def user_data(host_private_key: str, host_public_key: str) -> str:
    """Return the cloud-init configuration of every instance of a stack. It holds a secret: the host key."""
    config = {
        "ssh_deletekeys": True,
        "ssh_genkeytypes": [],
        "ssh_keys": {"ed25519_private": host_private_key, "ed25519_public": host_public_key},
        "write_files": [{"path": _SSHD_FILE, "permissions": "0644", "content": _SSHD}],
        "runcmd": [["systemctl", "reload-or-restart", "ssh"]],
    }
    return "#cloud-config\n" + yaml.safe_dump(config, sort_keys=False)
