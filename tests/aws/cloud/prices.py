"""The Price List, which moto does not serve: the account knows no price, so that the snapshot counts."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import ThreadedMotoServer

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def add(server: ThreadedMotoServer) -> None:
    """Answer requests that are signed for pricing before moto sees them: clients try its errors again."""
    serving: Any = server._server
    serving.app = _before(serving.app)


def _before(moto: Application) -> Application:
    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if "/pricing/" not in environ.get("HTTP_AUTHORIZATION", ""):
            return moto(environ, start)
        start("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
        return [json.dumps({"PriceList": []}).encode()]

    return answer
