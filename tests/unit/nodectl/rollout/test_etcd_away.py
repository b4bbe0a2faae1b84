"""Waiting for an unreachable etcd ends with the deadline of the caller."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest

from nodectl.contract.proof import ProofSpec
from nodectl.rollout.members import all_serve
from planning import manifests, plan, proof_spec
from tests.loopback_server import QuietHandler, listening
from tests.unit.plan_examples import addresses, agg

NO_ETCD = "127.0.0.1:1"


class Frontend(QuietHandler, BaseHTTPRequestHandler):
    """Lists nobody, as Dynamo's frontend while etcd is away."""

    def do_GET(self) -> None:
        self.answer(200, json.dumps({"instances": []}).encode(), {})


@pytest.fixture
def frontend() -> Iterator[str]:
    with listening(Frontend) as place:
        yield f"http://{place}"


@pytest.fixture
def spec(frontend: str) -> ProofSpec:
    made = plan(agg(2))
    wanted = proof_spec(made, addresses(made), manifests(made, addresses(made)))
    return replace(wanted, etcd=NO_ETCD, frontends=[frontend])


def test_whether_all_serve_is_answered_by_the_deadline_though_etcd_stays_away(spec: ProofSpec) -> None:
    begun = time.monotonic()
    assert not all_serve(spec, begun + 1)
    assert time.monotonic() - begun < 15
