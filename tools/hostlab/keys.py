"""The lab's keys: one key pair for login to every host, and a host key for each."""

import hashlib
import os
from pathlib import Path

import asyncssh

from tools.toolchain.common import PROJECT

ED25519_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
"""Prefix of the 32 bytes of a private Ed25519 key in PKCS #8 (RFC 8410)."""


def ensure_pair(private: Path) -> None:
    """Create the key pair for login, `private` and `private`.pub, unless it exists."""
    public = private.with_name(f"{private.name}.pub")
    if public.exists():
        return
    key = asyncssh.generate_private_key("ssh-ed25519", comment="dynamo-multinode lab")
    private.unlink(missing_ok=True)
    private.touch(mode=0o600)
    private.write_bytes(key.export_private_key("openssh"))
    # the project's owner uses it, who may have become root for the lab alone
    owner = PROJECT.stat()
    os.chown(private, owner.st_uid, owner.st_gid)
    public.write_bytes(key.export_public_key("openssh"))


def host_key(name: str) -> asyncssh.SSHKey:
    """Return a host's key: the same in every lab, so that stack files can contain it.

    Anyone can compute it, which is no risk on a network that does not leave the machine.
    """
    seed = hashlib.sha256(f"dynamo-multinode lab host {name}".encode()).digest()
    return asyncssh.import_private_key(ED25519_PKCS8 + seed)


def public_host_key(name: str) -> str:
    """Return the public key as in known_hosts and stack files: type and key."""
    return host_key(name).export_public_key("openssh").decode().strip()
