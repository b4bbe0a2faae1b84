"""The stack file's `proxy`: what installs on the nodes go through to package index, hub, S3 and the like."""

import ipaddress
import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from settings.section import Argument, Section, wrong

_EXAMPLE: Final = "http://proxy.example.org:3128"
_HOST: Final = re.compile(r"[.]?[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?")


def _proxy(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
        parts = urlsplit("")
    if "@" in url:
        raise wrong(
            "a proxy's user and password may not stand here: have the proxy let the nodes in by address, or "
            "run one on them that logs in; remove what is before the @"
        )
    if not valid or re.search(r"\s", url) or parts.path.strip("/") or parts.query or parts.fragment:
        raise wrong(f"expected scheme, host and port of a proxy for HTTP, such as {_EXAMPLE}")
    return url.rstrip("/")


def _direct(text: str) -> str:
    """Check what needs no proxy: a host, a domain with or without a leading dot, an address or a range."""
    if _HOST.fullmatch(text) and "_" not in text[:1]:
        return text
    try:
        return str(ipaddress.ip_network(text)) if "/" in text else str(ipaddress.ip_address(text))
    except ValueError:
        raise wrong(
            "expected a host, a domain, an address or a range, such as .example.org or 10.0.0.0/8"
        ) from None


ProxyUrl = Annotated[Argument, AfterValidator(_proxy)]


class ProxySettings(Section):
    """A proxy for installs: packages, releases, images, models. Services and health checks use none."""

    http: ProxyUrl | None = Field(default=None, description="proxy for http", examples=[_EXAMPLE])
    https: ProxyUrl | None = Field(default=None, description="proxy for https", examples=[_EXAMPLE])
    no: list[Annotated[Argument, AfterValidator(_direct)]] = Field(
        default_factory=list,
        description="hosts, domains, addresses and ranges reached without it; the machine itself and "
        "an instance's metadata always are",
        examples=[[".example.org", "10.0.0.0/8"]],
    )

    @model_validator(mode="after")
    def _there_is_one(self) -> "ProxySettings":
        if self.http is None and self.https is None:
            raise wrong(f"names no proxy; add `https: {_EXAMPLE}`, or remove it")
        return self
