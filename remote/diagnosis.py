"""Tell why a host cannot be reached, in one line that names the host and the key to change."""

import os
import re
import socket
import subprocess
from collections.abc import Sequence
from typing import Final

from remote import instance_diagnosis
from remote.host import KEY_FILE, Host

_CAUSES: Final = (
    (
        (
            r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|host key .* does not match"
            r"|No .* host key is known"
        ),
        (
            "shows another host key than the one that is {known}. If the machine was set up anew, {forget}; "
            "otherwise somebody may be in between"
        ),
    ),
    (
        r"Permission denied|Too many authentication failures|no mutual signature",
        "does not let {user} in: offer a key that it accepts, by ssh-agent, ~/.ssh or "
        + KEY_FILE
        + ", or correct `user` in `target.inventory`{agent}",
    ),
    (r"Connection refused", "refuses connections: start sshd there, or correct `port` in `target.inventory`"),
    (
        r"Could not resolve hostname",
        "is not known by that name here: correct `host` in `target.inventory`",
    ),
    (
        r"timed out|No route to host|Network is unreachable|Host is down",
        (
            "does not answer: start it, let SSH through its firewall, or correct `address` or `host` in "
            "`target.inventory`"
        ),
    ),
    (
        r"Bad owner or permissions|Bad configuration|UNPROTECTED PRIVATE KEY|Load key|not accessible",
        "was not tried, since SSH here refuses its own files: {last}",
    ),
    (
        r"kex_exchange_identification|Connection reset|Connection closed|closed by remote host|MaxStartups",
        (
            "closes connections before anyone can log in: raise `MaxStartups` in its sshd_config, "
            "and see its sshd log"
        ),
    ),
)

_SECONDS: Final = 15.0

_PASSING: Final = re.compile(
    r"Connection refused|kex_exchange_identification|Connection reset|Connection closed|closed by remote host"
)
"""Errors that pass: a host that boots, an sshd with too many logins at once."""

_STAYING: Final = re.compile(
    r"Permission denied|No route to host|timed out|Could not resolve|IDENTIFICATION HAS CHANGED"
    r"|verification failed"
)
"""Errors that do not pass, also where the end of a bastion's connection is said after them."""

_BOOTS: Final = re.compile(
    _PASSING.pattern + r"|timed out|No route to host|Host is down|stdio forwarding failed|TargetNotConnected"
)
"""Errors of an instance that boots, or of the head on the way to it, until SSH answers."""

_KEPT_OUT: Final = re.compile(
    r"Permission denied|IDENTIFICATION HAS CHANGED|verification failed|AccessDenied"
)
"""Errors that an instance which boots does not cause."""

_GONE: Final = re.compile(
    r"timed out|No route to host|Network is unreachable|Host is down|Connection refused"
    r"|Could not resolve hostname|REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed"
    r"|stdio forwarding failed"
)
"""Errors where a machine does not exist any more: nothing is there, or another in its place."""


def passes(lines: Sequence[str]) -> bool:
    """Return whether what ssh said may be over in a few seconds."""
    text = "\n".join(lines)
    return bool(_PASSING.search(text)) and not _STAYING.search(text)


def boots(lines: Sequence[str]) -> bool:
    """Return whether what ssh said may be over once an instance has booted."""
    text = "\n".join(lines)
    return bool(_BOOTS.search(text)) and not _KEPT_OUT.search(text)


def gone(lines: Sequence[str]) -> bool:
    """Return whether the machine seems to be no more, rather than to keep us out."""
    return bool(_GONE.search("\n".join(lines)))


def unreachable(host: Host, lines: Sequence[str]) -> str:
    """Return why no command was started on the host, from what ssh said."""
    text = "\n".join(lines)
    last_line = next((line for line in reversed(lines) if line.strip()), "it said nothing").strip()
    if host.route is not None:
        return instance_diagnosis.unreachable(host, host.route, lines, last_line)
    if "stdio forwarding failed" in text and _forbidden(host):
        return (
            f"{host.label} is not reached, since bastion {host.bastion} forbids it: set "
            "`AllowTcpForwarding yes`, and no `PermitOpen` without the host, in its sshd_config"
        )
    if "stdio forwarding failed" in text:
        return (
            f"{host.label} does not answer bastion {host.bastion}: start it, let SSH through its firewall, "
            "or correct `address` or `host` in `target.inventory`"
        )
    if host.bastion and host.bastion_host in lines[0]:
        return (
            f"{host.label} is not reached, since its bastion is not: {lines[0].strip()}; "
            f"correct `bastion: {host.bastion}`, or see why `ssh {host.bastion}` fails"
        )
    for pattern, cause in _CAUSES:
        if re.search(pattern, text):
            return f"{host.label} " + cause.format(
                known="given as `hostKey`" if host.host_key else f"recorded in {host.known_hosts}",
                forget=_forget(host),
                user=f"user {host.user}" if host.user else "you",
                agent=_dead_agent(),
                last=last_line,
            )
    return f"{host.label} cannot be reached: {last_line}"


def _forbidden(host: Host) -> bool:
    """Ask the bastion once more: at the level of other connections, ssh does not say why it fails."""
    try:
        completed = subprocess.run(
            host.through_bastion(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return b"administratively prohibited" in completed.stderr


def _dead_agent() -> str:
    """Return that the operator's SSH agent does not answer, where one is named that does not."""
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        return ""
    try:
        with socket.socket(socket.AF_UNIX) as agent:
            agent.connect(path)
    except OSError:
        return f"; the SSH agent at {path} (SSH_AUTH_SOCK) does not answer"
    return ""


def lost(host: Host, seconds: float) -> str:
    """Return what to say of a host that went away while a command ran there."""
    return (
        f"{host.label} was lost after {seconds:.0f} s, in the middle of a command: look whether it runs, "
        f"then run `up` again, which goes on where it stopped"
    )


def _forget(host: Host) -> str:
    if host.host_key:
        return "correct its `hostKey` in `target.inventory`"
    return f"run `ssh-keygen -f {host.known_hosts} -R {host.known_name}`"
