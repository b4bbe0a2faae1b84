"""URL of the backend with the running stack's state, found as the CLI does; the SDK does not tell it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


class UnknownBackendError(Exception):
    """It cannot be told where state is kept; the text says what to do."""


def backend(environ: Mapping[str, str] = os.environ, project: Path = Path()) -> str:
    """Return the URL of the backend: the environment's, else the project file's, else that of `pulumi login`.

    Raises UnknownBackendError where only the CLI can tell, since it keeps its logins encrypted.
    Source: GetCurrentCloudURLWithSource in pkg/workspace/creds.go of Pulumi 3.259.
    """
    url = environ.get("PULUMI_BACKEND_URL") or recorded(project) or _logged_in(environ)
    if not url:
        raise UnknownBackendError(
            "cannot tell where this stack's state is kept: record it with "
            "`scripts/init STACK --backend URL --secrets-provider URL`, or set PULUMI_BACKEND_URL"
        )
    return url


def recorded(project: Path = Path()) -> str | None:
    """Return the backend that Pulumi.yaml names for everybody who works on the project; None without one."""
    try:
        document = yaml.safe_load((project / "Pulumi.yaml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    url = _mapping(_mapping(document).get("backend")).get("url")
    return url if isinstance(url, str) and url else None


def _logged_in(environ: Mapping[str, str]) -> str | None:
    home = environ.get("PULUMI_CREDENTIALS_PATH") or environ.get("PULUMI_HOME") or Path.home() / ".pulumi"
    try:
        record = _mapping(json.loads(Path(home, "credentials.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
    url = record.get("current")
    return url if isinstance(url, str) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
