"""Waiting for an unreachable etcd ends with the deadline of the caller."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from nodectl.contract.proof import ProofSpec
from nodectl.rollout.members import all_serve
from planning import manifests, plan, proof_spec
from tests.unit.plan_examples import addresses, agg

NO_ETCD = "127.0.0.1:1"


class Frontend(BaseHTTPRequestHandler):
    """Lists nobody, as Dynamo's frontend while etcd is away."""

    def do_GET(self) -> None:
        body = json.dumps({"instances": []}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Tests print nothing."""


@pytest.fixture
def frontend() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Frontend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def spec(frontend: str) -> ProofSpec:
    made = plan(agg(2))
    wanted = proof_spec(made, addresses(made), manifests(made, addresses(made)))
    return replace(wanted, etcd=NO_ETCD, frontends=[frontend])


def test_whether_all_serve_is_answered_by_the_deadline_though_etcd_stays_away(spec: ProofSpec) -> None:
    begun = time.monotonic()
    assert not all_serve(spec, begun + 1)
    assert time.monotonic() - begun < 15
