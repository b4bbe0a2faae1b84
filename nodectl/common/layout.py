"""Paths of a node: the one place for all that lies below its root."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

CODE: Final = Path(__file__).parents[2]
"""The folder that the package `nodectl` is imported from."""

HOST_ROOTS: Final = Path("/var/lib/dynamo-multinode")
"""Nodes below it, at STACK/NODE, are hosts: root converges them, systemd and a user of their own run them."""

HOST_CACHE: Final = Path("/var/cache/dynamo-multinode")
"""Environments and models of a host, which outlive its nodes."""

MARKER: Final = "DYNAMO_MULTINODE_NODE"
"""Environment name that every process of a node carries, with the node's root as its value."""


@dataclass(frozen=True)
class Layout:
    """The folders and files of one node. `root` is absolute and without links: processes are found by it."""

    root: Path

    @classmethod
    def at(cls, root: str | Path) -> "Layout":
        """Return the layout of the node whose folder is `root`, which need not exist."""
        return cls(Path(root).resolve())

    @property
    def on_host(self) -> bool:
        """Return whether the node is a host of its own, and not one of several on an operator's machine."""
        return self.root.parent.parent == HOST_ROOTS.resolve()

    @property
    def lock(self) -> Path:
        """Held by the one nodectl that changes the node."""
        return self.root / "lock"

    @property
    def identity(self) -> Path:
        return self.root / "identity.json"

    @property
    def manifest(self) -> Path:
        """The manifest that was applied last."""
        return self.root / "manifest.json"

    @property
    def firewall(self) -> Path:
        """File that says who may connect to the node; it exists only while the firewall is managed."""
        return self.root / "firewall.json"

    @property
    def launches(self) -> Path:
        """Folder that says how each service is started, one file a service."""
        return self.root / "launches"

    def launch(self, service: str) -> Path:
        return self.launches / f"{service}.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def log(self, service: str) -> Path:
        """Return the file of a service's output, whose oldest parts are rotated away."""
        return self.logs / f"{service}.log"

    @property
    def starts(self) -> Path:
        return self.root / "starts"

    def started(self, service: str) -> Path:
        """Return the file that counts starts since nodectl last made one; systemd counts itself."""
        return self.starts / service

    @property
    def data(self) -> Path:
        """Data folder of services: `${data}` in a manifest's flags, and every service's working folder."""
        return self.root / "data"

    def own_data(self, service: str) -> Path:
        """Return the data folder of one service, which is removed when the service leaves the node."""
        return self.data / service

    @property
    def home(self) -> Path:
        """Home folder of a host's service user."""
        return self.root / "home"

    @property
    def service_user(self) -> int:
        """Return the number of the user whom services run as: theirs is the folder that they write in."""
        return self.data.stat().st_uid

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    def secret(self, name: str) -> Path:
        return self.secrets / name

    def make(self) -> None:
        """Make the folders of a node that is no host; only the node's own user may look inside."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.launches, self.logs, self.starts, self.data, self.secrets):
            folder.mkdir(mode=0o700, exist_ok=True)
