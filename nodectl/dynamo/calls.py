"""Bounded calls to a running deployment: each ends in its time, and fails with one error that says why."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import etcd3gw.exceptions
import httpx

from nodectl.dynamo.nats import nats

LOOK_SECONDS: Final = 5.0
"""Seconds that a service may take to say how it is."""
ANSWER_SECONDS: Final = 30.0
"""Seconds that a completion may take: real vLLM on a busy machine needs many seconds for its first one."""


class RefusedError(Exception):
    """Something answered, but not as a healthy one does; the text says how, in one line."""


class HopelessError(RefusedError):
    """An answer that will not get better by itself: asking again is of no use."""


class CheckError(Exception):
    """A check that does not hold (yet); the text is one line of what was seen instead."""

    def __init__(self, seen: str, *blame: str, hopeless: bool = False) -> None:
        """`blame` names the services whose logs may say why; `hopeless` is what waiting does not mend."""
        super().__init__(seen)
        self.blame = blame
        self.hopeless = hopeless


@asynccontextmanager
async def bounded(deadline: float, seconds: float, peer: str, *blame: str) -> AsyncIterator[None]:
    """Bound a question to `seconds` and by `deadline`; its failure becomes a CheckError naming `peer`."""
    start = time.monotonic()
    try:
        async with asyncio.timeout(min(seconds, deadline - start)):
            yield
    except (TimeoutError, httpx.TimeoutException) as error:
        raise CheckError(f"{peer}: no answer within {time.monotonic() - start:.0f} s", *blame) from error
    except _NO_CONNECTION as error:
        raise CheckError(f"{peer}: no connection", *blame) from error
    except RefusedError as error:
        raise CheckError(f"{peer}: {error}", *blame, hopeless=isinstance(error, HopelessError)) from error
    except (OSError, httpx.HTTPError, nats.errors.Error, etcd3gw.exceptions.Etcd3Exception) as error:
        raise CheckError(f"{peer}: {type(error).__name__} {error}".strip(), *blame) from error
    except (KeyError, TypeError, ValueError) as error:
        raise CheckError(f"{peer}: the answer has not the form that Dynamo 1.6 gives it", *blame) from error


_NO_CONNECTION = (
    ConnectionError,
    httpx.ConnectError,
    nats.errors.NoServersError,
    etcd3gw.exceptions.ConnectionFailedError,
)
