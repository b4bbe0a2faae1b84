"""A real deployment on loopback nodes, started by hand: NATS, etcd, frontend and mockers to break."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import etcd3gw

from nodectl.contract.proof import ProofInstance, ProofSpec
from tests.proof_specs import NAMESPACE, spec, worker

MODEL = "tiny"
PORTS = (2379, 2380, 4222, 8000, 9090, 9400, 9401, 9402)


@dataclass
class Deployment:
    """Its processes by service name. Node n has the address `network`.(10 + n)."""

    python: Path
    """Interpreter of the mocker runtime, beside whose programs NATS and etcd lie."""
    model: Path
    folder: Path
    network: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    workers: list[ProofInstance] = field(default_factory=list)

    def address(self, node: int) -> str:
        return f"{self.network}.{10 + node}"

    def spec(self, **changes: Any) -> ProofSpec:
        """Return what a plan of this deployment would want proved, with `changes`."""
        roots = {f"node-{n}": str(self.folder / f"node-{n}") for n in range(1, 5)}
        return spec(self.address(1), **{"instances": self.workers, "node_roots": roots, **changes})

    def start_head(self) -> None:
        self.start_nats("nats", 1, "-js", "-sd", str(self.folder / "nats"))
        self._start_etcd()
        self.start_frontend(0, node=1, router="kv")

    def start_nats(self, service: str, node: int, *flags: str) -> None:
        self._start(service, node, [self._program("nats-server"), "-a", self.address(node), *flags])

    def start_frontend(self, index: int, *, node: int, router: str) -> None:
        address = self.address(node)
        env = _listeners(address, TCP_RPC=None, TCP_RESPONSE_STREAM=9400)
        flags = ["--http-host", address, "--http-port", "8000", "--router-mode", router]
        common = ["--migration-limit", "3", "--namespace-prefix", "dynamo"]
        self._start_dynamo(f"frontend-{index}", node, env, "dynamo.frontend", *flags, *common)

    def planned(self, role: str, index: int, *, node: int) -> ProofInstance:
        """Return a worker as a plan names it."""
        return worker(f"{role}-{index}", node, self.address(node))

    def start_worker(self, worker: ProofInstance) -> None:
        """Start a mocker."""
        address, role, node = worker.address, worker.role, int(worker.node.removeprefix("node-"))
        env = {
            **_listeners(address, TCP_RPC=9401, TCP_RESPONSE_STREAM=9402, SYSTEM=9090),
            "DYN_NAMESPACE_WORKER_SUFFIX": NAMESPACE.removeprefix("dynamo-"),
            "DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS": '["generate"]',
        }
        flags = ["--model-path", str(self.model), "--model-name", MODEL, "--block-size", "16"]
        mode = [] if role == "aggregated" else ["--disaggregation-mode", role]
        self._start_dynamo(worker.service, node, env, "dynamo.mocker", *flags, *mode)

    def end(self, service: str, number: signal.Signals) -> None:
        """Send a signal that ends a service, and wait until it did."""
        self.processes[service].send_signal(number)
        self.processes[service].wait(timeout=60)

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait(timeout=10)

    def advertise(self, worker: ProofInstance, port: int) -> ProofInstance:
        """Register a worker under another request-plane port, and return it as planned there."""
        etcd = etcd3gw.client(host=self.address(1), port=2379)
        for value, entry in etcd.get_prefix(f"v1/instances/{NAMESPACE}/"):
            if f'"{worker.request_plane}/'.encode() in value:
                key = entry["key"].decode()
                lease = etcd3gw.Lease(int(key.rpartition("/")[2], 16), etcd)
                address = f"{worker.address}:{port}"
                etcd.put(key, value.decode().replace(worker.request_plane, address), lease=lease)
        return replace(worker, request_plane=address)

    def _start_etcd(self) -> None:
        client, peer = f"http://{self.address(1)}:2379", f"http://{self.address(1)}:2380"
        flags = {
            "name": "head",
            "data-dir": str(self.folder / "etcd"),
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"head={peer}",
        }
        self._start(
            "etcd", 1, [self._program("etcd"), *(f"--{name}={value}" for name, value in flags.items())]
        )

    def _start_dynamo(
        self, service: str, node: int, env: Mapping[str, str], module: str, *flags: str
    ) -> None:
        common = {
            "NATS_SERVER": f"nats://{self.address(1)}:4222",
            "ETCD_ENDPOINTS": f"{self.address(1)}:2379",
            "ETCD_LEASE_TTL": "120",
            "DYN_EVENT_PLANE": "nats",
            "DYN_NAMESPACE": "dynamo",
            "HF_HUB_OFFLINE": "1",
        }
        self._start(service, node, [str(self.python), "-m", module, *flags], {**common, **env})

    def _program(self, name: str) -> str:
        return str(self.python.parent / name)

    def _start(
        self, service: str, node: int, argv: Sequence[str], env: Mapping[str, str] | None = None
    ) -> None:
        log = self.folder / f"node-{node}" / "logs" / f"{service}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.processes[service] = subprocess.Popen(
                argv,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )


def _listeners(address: str, **ports: int | None) -> dict[str, str]:
    hosts = {f"DYN_{name}_HOST": address for name in ports} | {"DYN_EVENT_PLANE_HOST": address}
    return hosts | {f"DYN_{name}_PORT": str(port) for name, port in ports.items() if port}
