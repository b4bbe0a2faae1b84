"""A host's disk: an overlay of the image and the host's own files, with folders of this machine bound in."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from nodectl.common.layout import HOST_CACHE
from tools.hostlab import keys
from tools.hostlab.network import Network
from tools.toolchain.common import made_whole, user_cache

UPPER = "upper"
ROOT = "root"
MOUNT = f"lowerdir=image,upperdir={UPPER},workdir=work"
"""Options of the overlay, from within the disk's folder: no path can break them."""


ROOTS_CACHE = Path("/root/.cache/dynamo-multinode")
"""Cache of `nodectl` when a host's root runs it."""

NETWORK_UNIT = """\
[Match]
Name=host0
[Network]
Address={address}/{bits}
Gateway={gateway}
LinkLocalAddressing=no
IPv6AcceptRA=no
"""


def ensure(folder: Path, image: Path, address: str, network: Network, public_key: Path) -> None:
    """Create a host's disk unless it exists; its folder has the name of the host."""
    if folder.exists():
        return
    with made_whole(folder) as partial:
        (partial / "image").symlink_to(image)
        for name in (UPPER, "work", ROOT):
            (partial / name).mkdir()
        _write(partial / UPPER, _files(folder.name, address, network, public_key))
        for binding in bindings():
            # its parents, too, so that no service user stands before a closed home folder
            (partial / UPPER / binding.relative_to("/")).mkdir(parents=True, exist_ok=True)
        (partial / UPPER / "root").chmod(0o711)
        cache = partial / UPPER / HOST_CACHE.relative_to("/")
        if user_cache() != HOST_CACHE:
            cache.parent.mkdir(parents=True, exist_ok=True)
            cache.symlink_to(user_cache())
        if own_python():
            versioned = f"python3.{sys.version_info.minor}"
            programs = partial / UPPER / "usr/local/bin"
            programs.mkdir(parents=True)
            for name in ("python3", versioned):
                (programs / name).symlink_to(Path(sys.base_prefix, "bin", versioned))


def bindings() -> Mapping[Path, Path]:
    """Return the read-only folders of this machine in a host: path in the host -> path here.

    They are those of `nodectl install` on this machine, so that an install by a host's root finds everything
    in place, and the Python that it used. Environments contain their own path and that of their Python, so
    both have the same paths in the host.
    """
    python = {Path(sys.base_prefix): Path(sys.base_prefix)} if own_python() else {}
    cache = user_cache()
    return python | {
        path / folder: cache / folder for path in (cache, ROOTS_CACHE) for folder in ("env", "models")
    }


def own_python() -> bool:
    """Return whether this project runs on a Python that the image does not have."""
    return Path(sys.base_prefix) != Path("/usr")


def _files(name: str, address: str, network: Network, public_key: Path) -> Iterable[tuple[str, int, str]]:
    """Return the files that the image lacks: path, mode and content."""
    key = keys.host_key(name)
    unit = NETWORK_UNIT.format(address=address, bits=network.range.prefixlen, gateway=network.gateway)
    return (
        ("etc/hostname", 0o644, f"{name}\n"),
        ("etc/hosts", 0o644, f"127.0.0.1 localhost\n{address} {name}\n"),
        ("etc/machine-id", 0o644, ""),  # the first boot makes one
        ("etc/resolv.conf", 0o644, ""),  # nothing answers out there: fail at once
        ("etc/ssh/authorized_keys", 0o644, public_key.read_text(encoding="utf-8")),
        ("etc/ssh/sshd_config.d/lab.conf", 0o644, "AuthorizedKeysFile /etc/ssh/authorized_keys\n"),
        ("etc/ssh/ssh_host_ed25519_key", 0o600, key.export_private_key("openssh").decode()),
        ("etc/sudoers.d/ops", 0o440, "ops ALL=(ALL) NOPASSWD: ALL\n"),
        ("etc/systemd/network/10-host0.network", 0o644, unit),
    )


def _write(upper: Path, files: Iterable[tuple[str, int, str]]) -> None:
    for path, mode, content in files:
        file = upper / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode)
        file.chmod(mode)
        file.write_text(content, encoding="utf-8")
