"""A machine as SSH reaches it, and the options that every connection to it is made with."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from remote.destination import destination

if TYPE_CHECKING:
    from remote.aws_access import SshRoute

KEY_FILE: Final = "DYNAMO_MULTINODE_SSH_KEY"
"""Environment name: a private key file of the operator's; otherwise the agent and ~/.ssh are asked."""

CONNECT_SECONDS: Final = 10
_SESSION_OPTIONS: Final = (8, 7)
"""The OpenSSH that came with the options that say what a session is."""

ALIVE_SECONDS: Final = 5
ALIVE_COUNT: Final = 6
"""A host that says nothing for 30 s, in the middle of a command too, counts as lost."""


class Host(NamedTuple):
    """A host for SSH: address, user who logs in, bastion, and host key that identifies it.

    None leaves a choice to the operator's SSH configuration, as for plain `ssh HOST`.
    """

    name: str
    host: str
    user: str | None = None
    port: int | None = None
    bastion: str | None = None
    """`[user@]host[:port]`, an IPv6 address in brackets."""
    host_key: str | None = None
    """Type and key; None: recorded in `known_hosts` at the first connection."""
    known_hosts: Path | None = None
    route: "SshRoute | None" = None
    """Route to an instance of a stack on AWS; it stands in place of bastion, key and known_hosts."""

    def arguments(self) -> list[str]:
        """Return the options of `python -m remote` that stand for this host."""
        values = {
            "name": self.name,
            "host": self.host,
            "user": self.user,
            "port": self.port,
            "bastion": self.bastion,
            "host-key": self.host_key,
            "known-hosts": None if self.host_key and not self.bastion else self.known_hosts,
        }
        return [
            text for key, value in values.items() if value is not None for text in (f"--{key}", str(value))
        ]

    @property
    def label(self) -> str:
        """Return how the host is named in messages."""
        return f"{self.name} ({self.host}{f':{self.port}' if self.port else ''})"

    def ssh(self, given_keys: Path) -> list[str]:
        """Return the `ssh` command up to, and without, what runs on the host.

        `given_keys` is a known_hosts file with the key that was given, used when there is one.
        """
        command = ["ssh", *self._options(given_keys if self.host_key else None)]
        if self.user:
            command += ["-l", self.user]
        if self.port:
            command += ["-p", str(self.port)]
        if proxy := self._proxy():
            command.append(f"-oProxyCommand={proxy}")
        return [*command, "--", self.host]

    @property
    def known_name(self) -> str:
        """Return the host's name in a known_hosts file."""
        return self.host if self.port in (None, 22) else f"[{self.host}]:{self.port}"

    @property
    def _is_bastion(self) -> bool:
        """Return whether the host is the bastion itself, which is reached directly."""
        return self.bastion is not None and self.bastion_host == self.host

    @property
    def bastion_host(self) -> str:
        """Return the bastion without user and port; nothing where there is none."""
        return destination(self.bastion).host if self.bastion else ""

    def _options(self, given_keys: Path | None = None) -> Iterator[str]:
        """Yield what every connection on the way to the host is made with."""
        if self.route is not None:
            yield from _options(self.route.known_hosts, strict=True, key=self.route.key)
        else:
            yield from _options(given_keys or self.known_hosts, strict=given_keys is not None)

    def _proxy(self) -> str | None:
        """Return the command that the host is reached by, for a shell and with % escaped; None: directly.

        `ssh -J` would hand none of our options on to the connection with the bastion.
        """
        if self.route is not None and self.route.session is not None:
            return self.route.session
        if self.bastion is None or self._is_bastion:
            return None
        bastion = shlex.quote(self.bastion_host).replace("%", "%%")
        text = shlex.join(self._to_bastion()).replace("%", "%%")
        return f"{text} -W '[%h]:%p' -- {bastion}"

    def through_bastion(self) -> list[str]:
        """Return the command that opens the way through the bastion alone, and says what it meets."""
        log_options = ["-oLogLevel=INFO", "-W", f"[{self.host}]:{self.port or 22}"]
        ssh, *options = self._to_bastion()
        return [ssh, *log_options, *options, "--", self.bastion_host]

    def _to_bastion(self) -> list[str]:
        user, _, port = destination(self.bastion or "")
        command = ["ssh", *self._options()]
        command += ["-l", user] if user else []
        command += ["-p", port] if port else []
        return command


@cache
def _openssh() -> tuple[int, int]:
    """Return the version of `ssh` here; (0, 0) where it does not say."""
    completed = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False)
    match = re.match(r"OpenSSH_(\d+)\.(\d+)", completed.stderr)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _own() -> Iterator[str]:
    """Yield what keeps a connection apart from what the operator's configuration does with a session.

    A master of the operator's may be stale, and hang for ever; a command of theirs runs in place of ours, or
    prints in between.
    """
    yield from ("-oControlMaster=no", "-oControlPath=none", "-oPermitLocalCommand=no", "-oRemoteCommand=none")
    yield from ("-oForwardX11=no", "-oTunnel=no")
    if _openssh() >= _SESSION_OPTIONS:
        yield from ("-oSessionType=default", "-oStdinNull=no", "-oForkAfterAuthentication=no")


def _options(known_hosts: Path | None, *, strict: bool, key: Path | None = None) -> Iterator[str]:
    yield from _own()
    yield from ("-oBatchMode=yes", f"-oConnectTimeout={CONNECT_SECONDS}", "-oConnectionAttempts=1")
    yield from (f"-oServerAliveInterval={ALIVE_SECONDS}", f"-oServerAliveCountMax={ALIVE_COUNT}")
    yield from ("-oLogLevel=ERROR", "-oRequestTTY=no", "-oForwardAgent=no", "-oClearAllForwardings=yes")
    yield f"-oStrictHostKeyChecking={'yes' if strict else 'accept-new'}"
    if known_hosts is not None:
        yield from (f'-oUserKnownHostsFile="{known_hosts}"', "-oHashKnownHosts=no", "-oUpdateHostKeys=no")
        yield "-oGlobalKnownHostsFile=/dev/null"
    if key is not None:
        yield from ("-oIdentitiesOnly=yes", "-i", str(key))
    elif key_file := os.environ.get(KEY_FILE):
        yield from ("-i", key_file)
