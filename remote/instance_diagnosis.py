"""Tell why an instance of a stack on AWS cannot be reached, in one line that says what to do."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from remote.host import KEY_FILE, Host

if TYPE_CHECKING:
    from remote.aws_access import SshRoute

_CAUSES: Final = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|No .* host key is known",
        (
            "does not show the stack's host key: run `scripts/access {stack}` if a colleague made the stack "
            "anew; otherwise somebody may be in between"
        ),
    ),
    (
        r"Permission denied|Too many authentication failures|Load key|UNPROTECTED PRIVATE KEY",
        "does not let user {user} in with {key}, or correct `target.ami.user`",
    ),
    (
        r"TargetNotConnected",
        (
            "is not connected to Session Manager: it needs a route out (`network.egress`) and a profile with "
            "AmazonSSMManagedInstanceCore; or it is stopped or gone: see `pulumi refresh --stack {stack}`"
        ),
    ),
    (
        r"AccessDenied",
        "may not be reached by you: your role needs `ssm:StartSession` on it and on AWS-StartSSHSession",
    ),
    (
        r"Unable to locate credentials|ExpiredToken|InvalidClientTokenId|SSO|config profile",
        "is not reached without AWS credentials: {last}",
    ),
    (
        (
            r"timed out|No route to host|Network is unreachable|Host is down|Connection refused"
            r"|Connection reset|stdio forwarding failed|kex_exchange|Connection closed|closed by remote host"
        ),
        (
            "does not answer{through}: is your address in `target.adminRanges`? Is it stopped or gone: see "
            "`pulumi refresh --stack {stack}`. Did a colleague change it: run `scripts/access {stack}`"
        ),
    ),
)


def unreachable(host: Host, route: "SshRoute", lines: Sequence[str], last_line: str) -> str:
    """Return why no command was started on the instance; `last_line` is the last of the `lines` from ssh."""
    text = "\n".join(lines)
    for pattern, cause in _CAUSES:
        if re.search(pattern, text):
            return f"{host.label} " + cause.format(
                stack=route.known_hosts.parents[1].name,
                user=host.user,
                key=_key(route),
                through=f" through the head, {host.bastion_host}" if host.bastion else "",
                last=last_line,
            )
    return f"{host.label} cannot be reached: {last_line}"


def _key(route: "SshRoute") -> str:
    if route.key is not None:
        return f"the stack's key: run `scripts/access {route.known_hosts.parents[1].name}`"
    return f"your keys: offer the private key of `target.keyPair`, by ssh-agent or {KEY_FILE}"
