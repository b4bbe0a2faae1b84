"""A real OpenSSH server on a loopback address, for this user alone, with keys of its own."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = "/usr/sbin/sshd"

_CONFIG = """
ListenAddress {address}:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub {folder}/locked.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
AcceptEnv GREETING
MaxStartups 2:100:2
MaxSessions 3
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Sshd:
    """Address of a server, and the folder with its keys: `host`, `user`, and `locked` with a passphrase."""

    address: str
    port: int
    folder: Path

    PASSPHRASE = "open sesame"

    def key(self, name: str) -> str:
        """Return the text of a key file."""
        return (self.folder / name).read_text(encoding="utf-8")

    def connection(self, **changes: Any) -> dict[str, Any]:
        """Arguments of pulumi-command's `ConnectionArgs`, with changes."""
        reach = {"host": self.address, "port": self.port, "user": pwd.getpwuid(os.getuid()).pw_name}
        return reach | {"private_key": self.key("user"), "dial_error_limit": 3} | changes


@contextmanager
def running(folder: Path, address: str) -> Iterator[Sshd]:
    """Run a server until the end of the block."""
    assert shutil.which(PROGRAM), "no /usr/sbin/sshd: install the package openssh-server"
    with socket.create_server((address, 0)) as free:
        port = free.getsockname()[1]
    server = Sshd(address, port, folder)
    for name, passphrase in (("host", ""), ("user", ""), ("locked", Sshd.PASSPHRASE)):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", folder / name],
            check=True,
        )
    config = folder / "sshd_config"
    config.write_text(_CONFIG.format(address=address, port=port, folder=folder), encoding="utf-8")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd refuses to start without it
    process = subprocess.Popen([PROGRAM, "-D", "-e", "-f", config], stderr=(folder / "log").open("w"))
    try:
        _wait(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait(server: Sshd, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((server.address, server.port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"sshd does not answer:\n{server.key('log')}")


@contextmanager
def agent(folder: Path, key: Path) -> Iterator[Path]:
    """Run an SSH agent that holds one key; the value is its socket."""
    path = folder / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
        subprocess.run(["ssh-add", "-q", key], env=environment, check=True, stderr=subprocess.DEVNULL)
        yield path
    finally:
        process.terminate()
        process.wait(timeout=10)
