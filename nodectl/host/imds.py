"""An EC2 instance's metadata service, version 2: what EC2 is about to do with the instance."""

import json
import os
import urllib.error
import urllib.request
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final

ENDPOINT_VARIABLE: Final = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
"""The SDKs' own name for another place of the service."""

_ENDPOINT: Final = "http://169.254.169.254"
_TOKEN_SECONDS: Final = 21600
_SECONDS: Final = 2.0

_INTERRUPTION: Final = "/latest/meta-data/spot/instance-action"
_REBALANCE: Final = "/latest/meta-data/events/recommendations/rebalance"


class UnreachableError(Exception):
    """The service does not answer as it should."""


class Metadata:
    """The metadata service; every call is bounded, and fails with `UnreachableError`."""

    def __init__(self) -> None:
        self._endpoint = os.environ.get(ENDPOINT_VARIABLE, _ENDPOINT).rstrip("/")
        self._token: str | None = None
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def interruption(self) -> dict[str, Any] | None:
        """Return the notice that EC2 gave: `action` (terminate, stop, hibernate), `time`. None: not yet."""
        return self._document(_INTERRUPTION)

    def rebalance(self) -> dict[str, Any] | None:
        """Return `noticeTime` where EC2 thinks that an interruption has become likely; None: it does not."""
        return self._document(_REBALANCE)

    def _document(self, path: str) -> dict[str, Any] | None:
        text = self._get(path)
        try:
            document = None if text is None else json.loads(text)
        except ValueError as error:
            raise UnreachableError(f"{self._endpoint}{path}: no JSON: {error}") from None
        return document if isinstance(document, dict) else None

    def _get(self, path: str) -> str | None:
        """Return what is at a path; None where there is nothing. A token that ended is fetched anew, once."""
        for _ in range(2):
            self._token = self._token or self._ask(
                "PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
            )
            try:
                return self._ask("GET", path, {"X-aws-ec2-metadata-token": self._token})
            except urllib.error.HTTPError as error:
                if error.code == HTTPStatus.NOT_FOUND:
                    return None
                if error.code != HTTPStatus.UNAUTHORIZED:
                    raise UnreachableError(f"{self._endpoint}{path}: {error}") from None
                self._token = None
        raise UnreachableError(f"{self._endpoint}{path}: refuses the tokens that it gives")

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(self._endpoint + path, method=method, headers=headers)  # noqa: S310
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                body: bytes = answer.read()
        except urllib.error.HTTPError as error:
            if method == "GET":
                raise
            raise UnreachableError(f"{self._endpoint}{path}: {error}") from None
        except (OSError, HTTPException) as error:
            raise UnreachableError(f"{self._endpoint}{path}: {error}") from None
        return body.decode(errors="replace").strip()
