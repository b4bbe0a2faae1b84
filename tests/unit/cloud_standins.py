"""Servers of a cloud on loopback: EC2's metadata, a frontend's metrics, etcd's gateway."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.loopback_server import QuietHandler, listening

METRICS = """\
# HELP dynamo_frontend_requests_total Total number of LLM requests processed
dynamo_frontend_event_loop_stall_total 1
dynamo_frontend_active_requests{{model="tiny"}} {busy}
dynamo_frontend_requests_total{{endpoint="chat_completions",model="a.b/{{x",status="success"}} {requests}
dynamo_component_router_requests_total{{dynamo_component="backend"}} 9
"""
"""As a frontend of Dynamo 1.6 says it."""


@dataclass
class Frontend:
    """A frontend that has answered so many requests."""

    requests: int = 0
    busy: int = 0
    url: str = ""


@dataclass
class Imds:
    """The metadata service, version 2: nothing without a token, which is `token`."""

    documents: dict[str, Any] = field(default_factory=dict)
    token: str = "first"
    tokens_given: int = 0
    url: str = ""


@dataclass
class Etcd:
    """The part of etcd's JSON gateway that is used: keys and values, both as base64."""

    keys: dict[str, str] = field(default_factory=dict)
    fails: bool = False
    """Whether it answers, and has no answer."""
    address: str = ""


@contextmanager
def frontend() -> Iterator[Frontend]:
    stand_in = Frontend()

    class Handler(_Handler):
        def do_GET(self) -> None:
            self.reply(200, METRICS.format(busy=stand_in.busy, requests=stand_in.requests))

    with listening(Handler) as place:
        stand_in.url = f"http://{place}"
        yield stand_in


@contextmanager
def imds() -> Iterator[Imds]:
    stand_in = Imds()

    class Handler(_Handler):
        def do_PUT(self) -> None:
            seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
            stand_in.tokens_given += 1
            self.reply(200 if self.path == "/latest/api/token" and seconds else 400, stand_in.token)

        def do_GET(self) -> None:
            if self.headers.get("X-aws-ec2-metadata-token") != stand_in.token:
                self.reply(401, "")
            elif self.path in stand_in.documents:
                document = stand_in.documents[self.path]
                self.reply(200, document if isinstance(document, str) else json.dumps(document))
            else:
                self.reply(404, "<h1>Not Found</h1>")

    with listening(Handler) as place:
        stand_in.url = f"http://{place}"
        yield stand_in


@contextmanager
def etcd() -> Iterator[Etcd]:
    stand_in = Etcd()

    class Handler(_Handler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if stand_in.fails:
                self.reply(503, json.dumps({"error": "etcdserver: no leader", "code": 14}))
                return
            if self.path == "/v3/kv/txn":  # puts what is not there, as this is all that is asked of it
                put = query["success"][0]["requestPut"]
                stand_in.keys.setdefault(put["key"], put["value"])
                kvs = [{"key": put["key"], "value": stand_in.keys[put["key"]]}]
                self.reply(200, json.dumps({"responses": [{"response_range": {"kvs": kvs}}]}))
                return
            key, answer = query["key"], {}
            if self.path == "/v3/kv/put":
                stand_in.keys[key] = query["value"]
            elif self.path == "/v3/kv/deleterange":
                stand_in.keys.pop(key, None)
            else:
                keys = [key] if "range_end" not in query else sorted(stand_in.keys)
                answer = {"kvs": [{"key": k, "value": stand_in.keys[k]} for k in keys if k in stand_in.keys]}
            self.reply(200, json.dumps(answer))

    with listening(Handler) as stand_in.address:
        yield stand_in


@contextmanager
def answering(status: int, text: str) -> Iterator[str]:
    """Give the URL of a service that answers every request alike."""

    class Handler(_Handler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.reply(status, text)

    with listening(Handler) as place:
        yield f"http://{place}"


class _Handler(QuietHandler, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"  # not all of them read the body of a request

    def reply(self, status: int, text: str) -> None:
        self.answer(status, text.encode(), {})
