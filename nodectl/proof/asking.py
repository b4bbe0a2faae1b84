"""Bounds each question of a proof, and words whatever goes wrong with it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import etcd3gw.exceptions
import httpx

from nodectl.proof.natsclient import nats


class RefusedError(Exception):
    """Something answered, but not as a healthy one does; the text says how, in one line."""


class UnmetError(Exception):
    """What was expected is not there (yet); the text is one line of what was seen instead."""

    def __init__(self, seen: str, *blame: str) -> None:
        """`blame` names the services whose logs may say why."""
        super().__init__(seen)
        self.blame = blame


@asynccontextmanager
async def asking(deadline: float, seconds: float, whom: str, *blame: str) -> AsyncIterator[None]:
    """Bound a question to `seconds` and by `deadline`; its failure becomes an UnmetError naming `whom`."""
    begun = time.monotonic()
    try:
        async with asyncio.timeout(min(seconds, deadline - begun)):
            yield
    except (TimeoutError, httpx.TimeoutException) as error:
        raise UnmetError(f"{whom}: no answer within {time.monotonic() - begun:.0f} s", *blame) from error
    except _NO_CONNECTION as error:
        raise UnmetError(f"{whom}: no connection", *blame) from error
    except RefusedError as error:
        raise UnmetError(f"{whom}: {error}", *blame) from error
    except (OSError, httpx.HTTPError, nats.errors.Error, etcd3gw.exceptions.Etcd3Exception) as error:
        raise UnmetError(f"{whom}: {type(error).__name__} {error}".strip(), *blame) from error
    except (KeyError, TypeError, ValueError) as error:
        raise UnmetError(f"{whom}: the answer has not the form that Dynamo 1.6 gives it", *blame) from error


_NO_CONNECTION = (
    ConnectionError,
    httpx.ConnectError,
    nats.errors.NoServersError,
    etcd3gw.exceptions.ConnectionFailedError,
)
