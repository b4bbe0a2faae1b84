"""Destinations outside of their network that nodes need, and which of them S3's gateway endpoint serves.

`egress: endpoints` has ways to S3 of the own region, Session Manager and EC2, and to nothing else. What lies
on a machine's image needs no way at all; whether an image of the user's holds it cannot be known here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from nodectl.versions import store_releases
from planning.aws.target import aws_target
from planning.roles import store_source
from settings.aws.target import AwsTarget
from settings.models import Settings
from settings.problems import Problem
from settings.runtime import ContainerRuntime, StoresSettings

_NAT: Final = "or write `egress: nat`"
_GLOBAL_S3: Final = "us-east-1"
"""The region whose buckets the names without a region are sure to lead to."""


@dataclass(frozen=True)
class Need:
    """Something that `up` fetches onto nodes."""

    key: str
    """Key of the stack file that asks for it."""
    value: str
    what: str
    remedy: str
    url: str | None = None
    """URL of it; None: somewhere on the internet."""


def needs(settings: Settings) -> Iterator[Need]:
    """Yield what comes from elsewhere than the machines and S3's models; nothing where a proxy fetches it."""
    if settings.proxy is not None:
        return
    yield from _model(settings)
    yield from _packages(settings)
    yield from _image(settings)
    yield from _stores(settings)
    yield from _programs(settings)


def problems(settings: Settings, target: AwsTarget) -> Iterator[Problem]:
    """Find what `egress: endpoints` leaves out of reach."""
    if target.network.egress != "endpoints":
        return
    region = target.region or ""
    for need in needs(settings):
        if need.url is None or not is_s3(need.url, region):
            location = f" ({urlsplit(need.url).hostname})" if need.url else ""
            yield Problem(
                need.key,
                f"`egress: endpoints` leaves no way to {need.what}{location}; {need.remedy}, {_NAT}",
                need.value,
            )


def notes(settings: Settings, target: AwsTarget) -> Iterator[str]:
    """Say what only an image of the user's can hold, where AWS's is booted."""
    keys = [key for key, on_image in _on_image(settings) if on_image]
    if keys and target.ami.id is None:
        yield f"{', '.join(keys)}: AWS's image has no such thing; name an image that has (`ami: ami-…`)"


def is_s3(url: str, region: str) -> bool:
    """Return whether a URL is of S3 in `region`, which the gateway endpoint leads to."""
    host = urlsplit(url).hostname or ""
    regional_pattern = rf"(.+\.)?s3[.-](dualstack\.)?{re.escape(region)}\.amazonaws\.com(\.cn)?"
    global_pattern = r"(.+\.)?s3\.amazonaws\.com"
    return bool(
        re.fullmatch(regional_pattern, host) or (region == _GLOBAL_S3 and re.fullmatch(global_pattern, host))
    )


def _model(settings: Settings) -> Iterator[Need]:
    if settings.model.source == "hub":
        yield Need("model.source", "hub", "the hub", "take the model from S3 or a path")


def _packages(settings: Settings) -> Iterator[Need]:
    """Yield the index: whatever the engine runs from, nodectl gets an environment of its own."""
    runtime = settings.runtime
    if runtime.wheels is not None:
        return
    remedy = "write `wheels`, a folder on an image of yours, or an `index` on S3 of the region"
    if runtime.index is not None:
        yield Need("runtime.index", runtime.index, "the package index", remedy, runtime.index)
        return
    detail = (
        ""
        if runtime.kind == "venv"
        else f", which nodectl's own environment needs with `{runtime.kind}`, too"
    )
    yield Need("runtime.kind", runtime.kind, f"a package index{detail}", remedy)


def _image(settings: Settings) -> Iterator[Need]:
    runtime = settings.runtime
    if isinstance(runtime, ContainerRuntime) and not _own_image(settings):
        yield Need(
            "runtime.image",
            runtime.image or "",
            "an image registry",
            "name a machine image that has it pulled (`ami: ami-…`)",
        )


def _stores(settings: Settings) -> Iterator[Need]:
    stores, source = settings.runtime.stores, store_source(settings)
    if source == "distribution" and not _own_image(settings):
        yield Need(
            "runtime.stores.source",
            source,
            "the distribution's packages",
            "name a machine image with `etcd` and `nats-server` (`ami: ami-…`)",
        )
    if source == "release":
        yield from _releases(stores)


def _releases(stores: StoresSettings) -> Iterator[Need]:
    downloads = {"etcd": stores.etcd, "nats": stores.nats}
    defaults = [name for name, download in downloads.items() if download is None]
    remedy = "put it on S3 of the region (`stores: {{{0}: {{url: …}}}}` below `runtime`)"
    if defaults:
        yield Need(
            "runtime.stores.source",
            "release",
            f"the official release of {' and '.join(defaults)}",
            remedy.format(defaults[0]) + ", take `source: distribution` on an image that has them",
            store_releases()["etcd"]["url"],
        )
    for name, download in downloads.items():
        if download is not None:
            key, description = f"runtime.stores.{name}.url", f"the release of {name}"
            yield Need(key, download.url, description, remedy.format(name), download.url)


def _programs(settings: Settings) -> Iterator[Need]:
    count = settings.roles.frontend.replicas
    if count > 1 and not _own_image(settings):
        yield Need(
            "roles.frontend.replicas",
            str(count),
            "the distribution's haproxy",
            "write 1, or name a machine image that has it (`ami: ami-…`)",
        )


def _on_image(settings: Settings) -> Iterator[tuple[str, bool]]:
    runtime = settings.runtime
    yield "model.path", settings.model.source == "path"
    yield "runtime.path", runtime.kind == "preinstalled"
    yield "runtime.wheels", runtime.wheels is not None


def _own_image(settings: Settings) -> bool:
    target = aws_target(settings)
    return target is not None and target.ami.id is not None
