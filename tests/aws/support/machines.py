"""Instances as hosts of the lab: each boots at its private address, from a new disk, as its user data says.

An instance finds its user, the key pair's key, its host keys, files and commands as cloud-init makes them on
Ubuntu. Its Elastic IP is an address that it gets, whose connections arrive at the private one, as they do
behind EC2's translation.
"""

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.aws.cloud.groups import Opening
from tools.hostlab import disk
from tools.hostlab.errors import LabError
from tools.hostlab.host import Host
from tools.hostlab.lab import Lab

NETWORK: Final = "10.79.0.0/24"
"""The lab's range, which the stacks of these tests have as that of their VPC."""

FIRST_PUBLIC: Final = 200
"""Elastic IPs count up from here, in no subnet of the VPC."""

USER: Final = "ubuntu"
USER_NUMBER: Final = 1001
UNDERSTOOD: Final = {"ssh_deletekeys", "ssh_genkeytypes", "ssh_keys", "write_files", "runcmd"}
COMMAND_SECONDS: Final = 120
INTERFACE: Final = "host0"
"""Name that systemd-nspawn gives a host's one interface."""

TRANSLATION: Final = """\
table ip elastic
delete table ip elastic
table ip elastic {{
    chain arriving {{
        type nat hook prerouting priority -100
        ip daddr {{ {public} }} dnat to {private}
    }}
    chain own {{
        type nat hook output priority -100
        ip daddr {{ {public} }} dnat to {private}
    }}
}}
"""

GROUPS: Final = """\
table inet groups
delete table inet groups
table inet groups {{
    chain arriving {{
        type filter hook input priority 0; policy drop;
        iif lo accept
        ct state established,related accept
{ingress}
    }}
    chain leaving {{
        type filter hook output priority 0; policy drop;
        oif lo accept
        ct state established,related accept
{egress}
    }}
}}
"""


@dataclass
class Machine:
    """The host of one instance."""

    host: Host
    user_data: dict[str, Any]
    public_key: str
    public: tuple[str, ...] = ()
    openings: tuple[Opening, ...] = ()
    ready: threading.Event = field(default_factory=threading.Event)
    alone: threading.Lock = field(default_factory=threading.Lock)


class LabMachines:
    """Gives instances hosts of the lab. What went wrong while one booted is in `failures`."""

    def __init__(self) -> None:
        self.lab = Lab(NETWORK)
        self.lab.down()  # of a run that was killed
        self._image = self.lab.prepare()
        self._machines: dict[str, Machine] = {}
        self._leads: dict[str, tuple[str, ...]] = {}
        self._openings: dict[str, tuple[Opening, ...]] = {}
        self._given = 0
        self._boots: list[threading.Thread] = []
        self.failures: list[str] = []

    def public_address(self) -> str:
        """Return the next Elastic IP: in the range, so that it leads here."""
        self._given += 1
        return str(self.lab.network.range[FIRST_PUBLIC + self._given % 40])

    def host(self, instance: str) -> Host:
        """Return the host of an instance."""
        return self._machines[instance].host

    def wait(self) -> None:
        """Wait until every boot is over."""
        for boot in self._boots:
            boot.join()

    def launch(self, instance: Any, user_data: str, public_key: str) -> None:
        """Boot a new host at the instance's address; another thread waits for it, as EC2 lets callers go."""
        host = self.lab.at(instance.private_ip)
        machine = Machine(host, cloud_config(user_data), public_key)
        machine.public = self._leads.get(host.address, ())
        machine.openings = self._openings.get(host.address, ())
        self._machines[instance.id] = machine
        self._begin(self._first_boot, machine)

    def terminate(self, instance: Any) -> None:
        """Cut the host's power and take its disk away."""
        machine = self._machines.pop(instance.id, None)
        if machine is not None:
            with machine.alone:
                machine.host.kill()
                shutil.rmtree(machine.host.folder, ignore_errors=True)

    def stop(self, instance: Any, off: Callable[[], None]) -> None:
        """Press the host's power button; another thread waits for it, as EC2 lets callers go."""

        def power_off(machine: Machine) -> None:
            machine.ready.clear()
            machine.host.stop()
            off()

        self._begin(power_off, self._machines[instance.id])

    def start(self, instance: Any) -> None:
        """Boot the host again, with its disk."""
        self._begin(self._boot, self._machines[instance.id])

    def published(self, private: str, public: Sequence[str]) -> None:
        """Lead `public` to the host at `private`, and nothing else."""
        before, self._leads[private] = self._leads.get(private, ()), tuple(public)
        for machine in list(self._machines.values()):  # others launch meanwhile
            if machine.host.address == private and before != tuple(public):
                with machine.alone:
                    machine.public = tuple(public)
                    if machine.ready.is_set():
                        _translate(machine, before)

    def guarded(self, private: str, openings: Sequence[Opening]) -> None:
        """Make the host at `private` refuse traffic that its security groups do not let through."""
        before, self._openings[private] = self._openings.get(private, ()), tuple(openings)
        for machine in list(self._machines.values()):
            if machine.host.address == private and before != tuple(openings):
                with machine.alone:
                    machine.openings = tuple(openings)
                    if machine.ready.is_set():
                        _guard(machine)

    def down(self) -> None:
        """Leave nothing of the hosts."""
        self.wait()
        for machine in list(self._machines.values()):  # others launch meanwhile
            machine.host.kill()
        self.lab.down()

    def _begin(self, boot: Any, machine: Machine) -> None:
        thread = threading.Thread(target=self._guarded, args=(boot, machine), daemon=True)
        self._boots.append(thread)
        thread.start()

    def _guarded(self, boot: Any, machine: Machine) -> None:
        try:
            with machine.alone:
                boot(machine)
        except (LabError, OSError, ValueError) as error:
            self.failures.append(f"{machine.host.address}: {error}")

    def _first_boot(self, machine: Machine) -> None:
        host = machine.host
        host.kill()
        shutil.rmtree(host.folder, ignore_errors=True)
        disk.ensure(host.folder, self._image, host.address, host.network, self.lab.key.with_suffix(".pub"))
        _seed(host.folder / disk.UPPER, self._image, machine)
        self._boot(machine)
        for command in machine.user_data.get("runcmd", []):
            argv = command if isinstance(command, list) else ["sh", "-c", command]
            host.exec([str(part) for part in argv], check=True, seconds=COMMAND_SECONDS)

    def _boot(self, machine: Machine) -> None:
        machine.ready.clear()
        machine.host.start()
        _translate(machine, ())
        _guard(machine)  # last: until here, this machine looks whether sshd answers
        machine.ready.set()


def cloud_config(text: str) -> dict[str, Any]:
    """Return what user data says. Raises ValueError for what is not understood here."""
    if not text:
        return {}
    if not text.startswith("#cloud-config\n"):
        raise ValueError("user data: these machines take a cloud-config alone")
    found: dict[str, Any] = yaml.safe_load(text) or {}
    strange = sorted(found.keys() - UNDERSTOOD)
    if strange:
        raise ValueError(
            f"user data: these machines do not know {', '.join(strange)}; teach them in {__file__}"
        )
    return found


def _seed(upper: Path, image: Path, machine: Machine) -> None:
    """Write what cloud-init would, before the first boot; nothing of the lab's own ways in stays."""
    for own in ("etc/ssh/sshd_config.d/lab.conf", "etc/ssh/authorized_keys", "etc/sudoers.d/ops"):
        (upper / own).unlink()
    for key, content in machine.user_data.get("ssh_keys", {}).items():
        kind, _, part = key.partition("_")
        public = part == "public"
        name = f"etc/ssh/ssh_host_{kind}_key{'.pub' if public else ''}"
        _write(upper / name, content.rstrip("\n") + "\n", 0o644 if public else 0o600)
    for file in machine.user_data.get("write_files", []):
        _write(upper / file["path"].lstrip("/"), file["content"], int(file.get("permissions", "0644"), 8))
    _add_user(upper, image, machine.public_key)


def _add_user(upper: Path, image: Path, public_key: str) -> None:
    """Add the image's user, who may use sudo, and whom the key pair lets in."""
    numbers = f"{USER_NUMBER}:{USER_NUMBER}"
    for path, line, mode in (
        ("etc/passwd", f"{USER}:x:{numbers}::/home/{USER}:/bin/bash", 0o644),
        ("etc/group", f"{USER}:x:{USER_NUMBER}:", 0o644),
        ("etc/shadow", f"{USER}:*:19000:0:99999:7:::", 0o640),
    ):
        _write(upper / path, f"{(image / path).read_text(encoding='utf-8')}{line}\n", mode)
    _write(upper / "etc/sudoers.d/90-cloud-init-users", f"{USER} ALL=(ALL) NOPASSWD:ALL\n", 0o440)
    home = upper / "home" / USER
    keys = home / ".ssh/authorized_keys"
    _write(keys, public_key, 0o600)
    keys.parent.chmod(0o700)
    for owned in (home, keys.parent, keys):
        os.chown(owned, USER_NUMBER, USER_NUMBER)


def _write(path: Path, content: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode)
    path.chmod(mode)
    path.write_text(content, encoding="utf-8")


def _translate(machine: Machine, before: Sequence[str]) -> None:
    """Give the host its public addresses; their connections arrive at its private one."""
    host = machine.host
    for address in sorted(set(before) - set(machine.public)):
        host.exec(["ip", "address", "delete", f"{address}/32", "dev", INTERFACE], check=True)
    for address in sorted(set(machine.public) - set(before)):
        host.exec(["ip", "address", "replace", f"{address}/32", "dev", INTERFACE], check=True)
    if machine.public:
        rules = TRANSLATION.format(public=", ".join(machine.public), private=host.address)
        host.exec(["nft", "-f", "-"], stdin=rules, check=True)


def _guard(machine: Machine) -> None:
    """Load what the security groups of the host's interface let through."""
    chains = {
        direction: "\n".join(
            f"        {_match(opening)} accept"
            for opening in machine.openings
            if opening.direction == direction
        )
        for direction in ("ingress", "egress")
    }
    machine.host.exec(["nft", "-f", "-"], stdin=GROUPS.format(**chains), check=True)


def _match(opening: Opening) -> str:
    side = "saddr" if opening.direction == "ingress" else "daddr"
    peers = f"ip {side} {{ {', '.join(opening.peers)} }}"
    if opening.protocol == "-1":
        return peers
    if opening.protocol == "icmp":
        return f"{peers} ip protocol icmp"
    return f"{peers} {opening.protocol} dport {opening.first}-{opening.last}"
