"""From a node's manifest to how each of its services is started."""

import ipaddress
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

from nodectl import install
from nodectl.argv import Folders, argv
from nodectl.errors import BadInputError
from nodectl.launch import Launch
from nodectl.layout import Layout
from nodectl.manifest import Manifest, Service

CODE: Final = Path(__file__).parents[1]
"""The folder that the package `nodectl` is imported from."""

INTERFACE: Final = "${interface}"
"""In the environment of a service: the network interface of its node's own address."""


def launches(manifest: Manifest, layout: Layout) -> dict[str, Launch]:
    """Return how each service of `manifest` is started on this node.

    Raises `BadInputError` where a value cannot be passed to a process at all.
    """
    folders = Folders(
        environment=install.environment_path(manifest.runtime.variant),
        data=layout.data,
        models=install.generated_models_path(),
    )
    gpus = manifest.runtime.variant == "gpu"
    rendered = {
        name: Launch(
            argv=argv(service, folders),
            env=_env(service, gpus=gpus),
            secrets=sorted(service.secrets),
            after=service.after,
            stop_seconds=service.stop.seconds,
            gang=None if service.gang is None else service.gang.model_dump(),
        )
        for name, service in manifest.services.items()
    }
    for name, launch in rendered.items():
        if any("\0" in text for text in (*launch.argv, *launch.env.values())):
            raise BadInputError(f"services.{name}: a flag or env value holds a null character; take it out")
    return rendered


def _env(service: Service, *, gpus: bool) -> dict[str, str]:
    """Return the service's own environment: no GPU variant, no GPUs to choose."""
    devices = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, service.gpus))} if gpus and service.gpus else {}
    imports = {"PYTHONPATH": str(CODE)} if service.module.startswith("nodectl.") else {}
    return (
        imports | devices | {name: _with_interface(value, service.env) for name, value in service.env.items()}
    )


def _with_interface(value: str, env: Mapping[str, str]) -> str:
    """Return `value` with `${interface}` replaced by the network interface that has the node's address."""
    if INTERFACE not in value or "VLLM_HOST_IP" not in env:
        return value
    address = ipaddress.IPv4Address(env["VLLM_HOST_IP"])
    for name, found in psutil.net_if_addrs().items():
        for one in found:
            if one.family == socket.AF_INET and address in _reached(one.address, one.netmask):
                return value.replace(INTERFACE, name)
    raise BadInputError(
        f"no network interface of this node has the address {address}; correct it in the stack"
    )


def _reached(address: str, netmask: str | None) -> ipaddress.IPv4Network:
    """Return the address alone, but of the loopback interface all: every 127.x.y.z is this machine."""
    alone = ipaddress.IPv4Network(address)
    loopback = alone.network_address.is_loopback and netmask
    return ipaddress.IPv4Network(f"{address}/{netmask}", strict=False) if loopback else alone
