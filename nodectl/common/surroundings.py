"""The environment that nodectl and all that it starts have: the same whatever it was started from.

The shell that `up` was typed in, a host's login and systemd's defaults may be set to anything: proxies, the
hub's folders, Python's own switches, a umask. Of all that, what is named here counts.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from nodectl.common import isolated
from nodectl.common.layout import CODE, MARKER

PROXIES: Final = tuple(
    name
    for scheme in ("ALL", "FTP", "HTTP", "HTTPS", "NO")
    for name in (f"{scheme}_PROXY", f"{scheme}_proxy".lower())
)
"""Names by which clients find a proxy: no service has them unless its role's `env` does."""

BEFORE_US: Final = (
    *("LD_AUDIT", "LD_LIBRARY_PATH", "LD_PRELOAD"),
    *("PYTHONCASEOK", "PYTHONDEVMODE", "PYTHONHOME", "PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONPLATLIBDIR"),
    *("PYTHONPROFILEIMPORTTIME", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONWARNINGS"),
)
"""Names that change what nodectl's own Python does, before it can look at any."""

SERVICES: Final = (
    *("HOME", "LOGNAME", "PATH", "USER", "XDG_CACHE_HOME"),
    *(MARKER, "PYTHONPATH", "PYTHONSAFEPATH", "PYTHONUNBUFFERED", "LANG"),
    *("INVOCATION_ID", "JOURNAL_STREAM"),
)
"""Variables that services have: their user's, and those of their supervisor."""

_INDEXES: Final = (
    *("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_INDEX_URL"),
    *("UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"),
)
_UV_INDEXES: Final = "UV_INDEX"
"""The begin of more names, among them logins of indexes that uv's configuration names."""

_SOURCES: Final = (
    *_INDEXES,
    *("PIP_CACHE_DIR", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_CONFIG_FILE", "PIP_DEFAULT_TIMEOUT"),
    *("PIP_TRUSTED_HOST", "UV_CACHE_DIR", "UV_CONFIG_FILE", "UV_HTTP_TIMEOUT", "UV_INSECURE_HOST"),
    *("UV_KEYRING_PROVIDER", "UV_LINK_MODE", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS"),
    *("CURL_CA_BUNDLE", "NETRC", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE", "XDG_CONFIG_HOME"),
    *("DOCKER_CONFIG", "HF_ENDPOINT", "REGISTRY_AUTH_FILE"),
)
_SOURCE_PREFIXES: Final = ("AWS_", _UV_INDEXES)
"""Further variables that installs have: for package indexes, certificate authorities and credentials."""

_PLANNED: Final[Mapping[str, str]] = {**isolated.ENVIRONMENT, "LANG": "C.UTF-8", "PYTHONPATH": str(CODE)}

_NEVER_BY_PROXY: Final = ("localhost", "127.0.0.1", "::1", "169.254.169.254")
"""This machine, and what tells an instance its region and gives it credentials."""


def settle(umask: int) -> None:
    """Make the environment of this process what it should be, and so that of all that it starts."""
    os.umask(umask)
    variables = {
        name: value
        for name, value in os.environ.items()
        if name in SERVICES or name in _SOURCES or name.startswith(_SOURCE_PREFIXES)
    }
    os.environ.clear()
    os.environ.update({**variables, **_PLANNED})


def of_services(base: Mapping[str, str]) -> dict[str, str]:
    """Return what a service has of the environment that its runner has."""
    return {name: base[name] for name in SERVICES if name in base}


@contextmanager
def proxied(http: str | None, https: str | None, direct: Iterable[str]) -> Iterator[None]:
    """Send what is started meanwhile through the proxies at these URLs, if any, but for `direct` hosts."""
    with _changed(_proxy_names(http, https, direct) if http or https else {}):
        yield


@contextmanager
def without_indexes() -> Iterator[None]:
    """Make pip and uv go, meanwhile, where they are told to and nowhere else."""
    names = (name for name in os.environ if name in _INDEXES or name.startswith(_UV_INDEXES))
    with _changed(dict.fromkeys(names)):
        yield


@contextmanager
def _changed(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set names in the environment meanwhile, or unset them."""
    previous = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(previous)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def _proxy_names(http: str | None, https: str | None, direct: Iterable[str]) -> dict[str, str]:
    no_proxy = ",".join([*_NEVER_BY_PROXY, *direct])
    values = {"http_proxy": http, "https_proxy": https, "no_proxy": no_proxy}
    return {name: value for lower, value in values.items() if value for name in (lower, lower.upper())}
