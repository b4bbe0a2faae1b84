"""A host's firewall: one table of nftables for all its nodes, made again at boot, gone with the last of them.

Nothing else of the host's rules is touched. Rules of its own still count beside these: nftables lets in only
what every table lets in.
"""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from nodectl.common import procfs, programs, steps
from nodectl.common.errors import BadInputError, NodectlError
from nodectl.common.files import read_if_there, write_atomically
from nodectl.common.layout import HOST_ROOTS, Layout
from nodectl.contract import codec
from nodectl.contract.firewall import Firewall
from nodectl.host import nftables
from nodectl.host.shared import alone
from nodectl.supervisors import unitfile

RULES: Final = Path("/etc/dynamo-multinode.nft")
UNIT: Final = unitfile.FOLDER / f"{unitfile.HOST_PREFIX}firewall.service"

_LEAVING_SECONDS: Final = 3600
"""Seconds that a node that left the group may go on connecting: it drains after the others were told."""

_SSH: Final = 22
_CALL_SECONDS: Final = 60


def guard(layout: Layout, desired: Firewall | None) -> None:
    """Let in what `desired` says of this node, beside what other nodes of the host and SSH need.

    None: the node asks for no firewall. Raises `BadInputError` without nft, and `NodectlError` where the
    kernel refuses the rules; the old ones then stay.
    """
    with alone():
        existing = _read(layout.firewall)
        if desired is None:
            layout.firewall.unlink(missing_ok=True)
        others = [_read(Layout(root).firewall) for root in _roots(layout)]
        _converge([firewall for firewall in (*others, desired) if firewall is not None])
        if desired is not None:
            write_atomically(layout.firewall, codec.written(desired, indent=1) + "\n")
            if removed_addresses := _inner(existing) - _inner(desired):
                _run(
                    [programs.find("nft"), "--file", "-"],
                    nftables.leaving(removed_addresses, _LEAVING_SECONDS),
                )


def unit_text(nft: str) -> str:
    """Return the unit that loads the rules at boot, after nftables.service, which flushes all."""
    load = f"{nft} --file {RULES}"
    return unitfile.render(
        {
            "Unit": {
                "Description": "firewall of dynamo-multinode",
                "DefaultDependencies": "no",
                "Wants": "network-pre.target",
                "Before": "network-pre.target shutdown.target",
                "After": "local-fs.target systemd-modules-load.service nftables.service",
                "PartOf": "nftables.service",
                "ReloadPropagatedFrom": "nftables.service",
                "Conflicts": "shutdown.target",
            },
            "Service": {
                "Type": "oneshot",
                "RemainAfterExit": "yes",
                "ExecStart": load,
                "ExecReload": load,
            },
            "Install": {"WantedBy": "sysinit.target"},
        }
    )


def ssh_ports() -> set[int]:
    """Return every port that sshd of this host listens on, or is told to; who is connected stays so."""
    ports = {_SSH}
    ports_by_inode = {
        socket.inode: socket.port for socket in procfs.listeners() if not socket.address.is_loopback
    }
    for process in procfs.processes():
        if procfs.name(process.pid).startswith("sshd"):
            ports |= {
                ports_by_inode[inode] for inode in procfs.sockets(process.pid) if inode in ports_by_inode
            }
    commands = (
        ["/usr/sbin/sshd", "-T"],
        ["systemctl", "show", "--property=Listen", "ssh.socket", "sshd.socket"],
    )
    for command in commands:
        ports |= _ports(command)
    return ports


def _converge(firewalls: Sequence[Firewall]) -> None:
    """Make the host's rules those of all its nodes."""
    if not firewalls:
        _remove()
        return
    openings = [opening for firewall in firewalls for opening in firewall.openings]
    rules = nftables.text(openings, ssh_ports())
    nft = programs.find("nft")
    unit = unit_text(nft)
    if read_if_there(RULES) == rules and read_if_there(UNIT) == unit and _is_loaded(nft):
        return
    _run([nft, "--check", "--file", "-"], rules)
    steps.say("loading the firewall's rules")
    write_atomically(UNIT, unit)
    _run(["systemctl", "daemon-reload"])
    _run(["systemctl", "--quiet", "enable", UNIT.name])
    _run([nft, "--file", "-"], rules)
    write_atomically(RULES, rules)  # not before: where the file is right, what is loaded is
    _run(["systemctl", "restart", UNIT.name])
    if not _is_loaded(nft):
        raise NodectlError(
            f"the rules of {RULES} do not stay loaded: something else on this host removes them"
        )


def _remove() -> None:
    """Leave nothing of a firewall; on most hosts there never was one."""
    if UNIT.exists():
        _run(["systemctl", "--quiet", "disable", "--now", UNIT.name])
        UNIT.unlink()
        _run(["systemctl", "daemon-reload"])
    if RULES.exists():
        _run([programs.find("nft"), "--file", "-"], nftables.NO_TABLE)
        RULES.unlink()


def _roots(layout: Layout) -> Iterable[Path]:
    """Return the folders of the other nodes; a dot is in the name of one that is being removed."""
    return (
        path
        for path in sorted(HOST_ROOTS.glob("*/*"))
        if path.is_dir() and path != layout.root and "." not in path.name
    )


def _read(path: Path) -> Firewall | None:
    text = read_if_there(path)
    try:
        return None if text is None else codec.read(Firewall, text, "a firewall", str(path))
    except BadInputError:
        raise NodectlError(f"{path}: of another release of this project; run `pulumi up` for it") from None


def _inner(firewall: Firewall | None) -> set[str]:
    """Return the addresses of the group that a firewall knows."""
    openings = () if firewall is None else firewall.openings
    return {source.removesuffix("/32") for opening in openings if opening.group for source in opening.sources}


def _is_loaded(nft: str) -> bool:
    command = [nft, "list", "table", "inet", nftables.TABLE]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _ports(command: Sequence[str]) -> set[int]:
    """Return the ports that sshd's or a socket unit's settings name; none where they cannot be asked."""
    try:
        output = subprocess.run(
            command, capture_output=True, text=True, timeout=_CALL_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return set()
    words = [line.split() for line in output.splitlines()]
    numbers = [w[1] for w in words if len(w) == 2 and w[0] == "port"]
    numbers += [w[0].rpartition(":")[2].rpartition("=")[2] for w in words if w and w[0].startswith("Listen=")]
    return {int(port) for port in numbers if port.isdigit()}


def _run(command: Sequence[str], stdin: str = "") -> None:
    programs.run(command, _CALL_SECONDS, stdin=stdin)
