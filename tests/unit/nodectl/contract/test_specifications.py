"""Every specification: bare Python reads what planning writes, and what states of earlier releases hold."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as drawing

from nodectl.common.errors import BadInputError
from nodectl.contract import codec, documents
from nodectl.contract.manifest import Manifest, Service
from nodectl.contract.runtime import InstallSpec, ModelSource, RuntimeSpec
from planning import installed, manifests, plan, probe_spec, proof_spec
from planning.values import Plan
from settings import Settings
from tests.install_specs import spec
from tests.unit.account_examples import aws_plan
from tests.unit.plan_examples import addresses, disagg, settings
from tests.unit.planning.test_plan_properties import planned, stack_files

PROJECT = Path(__file__).parents[4]
MODULES = ("firewall", "manifest", "probe", "proof", "runtime")
TOKEN = "hf_abcdefghijklmnopqrstuvwx"


def kinds() -> Iterator[type[Any]]:
    for name in MODULES:
        module = import_module(f"nodectl.contract.{name}")
        for kind in vars(module).values():
            if isinstance(kind, type) and is_dataclass(kind) and kind.__module__ == module.__name__:
                yield kind


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("value", [None, [], {}, 1, True, 0.5, "x", [[]], {"kind": []}], ids=json.dumps)
def test_every_type_of_the_contract_has_a_form_that_the_codec_knows(kind: type[Any], value: Any) -> None:
    with suppress(BadInputError):
        codec.decode(kind, {each.name: value for each in fields(kind)}, "a value")


def test_secrets_of_an_install_are_shown_by_nothing_but_its_json() -> None:
    runtime = RuntimeSpec(variant="mocker", lock="x", model=ModelSource(kind="hub", name="a/b"))
    install = InstallSpec.of(runtime, {"HF_TOKEN": TOKEN})
    assert TOKEN not in f"{install} {install!r}"
    assert TOKEN in codec.written(install)
    assert "secrets" not in codec.written(InstallSpec.of(runtime, {}))
    wrong = codec.encode(install) | {"secrets": {TOKEN: [TOKEN], "A B": TOKEN}}
    with pytest.raises(BadInputError) as refused:
        codec.decode(InstallSpec, wrong, "a runtime spec")
    assert str(refused.value).splitlines()[1:] == [
        "  secrets.…: expected text",
        "  secrets.A B: expected the name of an environment variable",
    ]


BARE = """\
import json, sys
sys.path.insert(0, sys.argv[1])
from nodectl.contract import codec, firewall, manifest, probe, proof, runtime
for line in sys.stdin:
    module, name, text = json.loads(line)
    value = codec.read(getattr(sys.modules["nodectl.contract." + module], name), text, name)
    print(json.dumps([repr(value), codec.written(value)]), flush=True)
"""


class BarePython:
    """A Python without any package, which reads documents as a host does."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def check(self, value: Any) -> None:
        """Fail unless it reads the JSON of a value as the same value, and writes the same JSON."""
        module, text = type(value).__module__.rpartition(".")[2], codec.written(value)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([module, type(value).__name__, text]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "it ended; see its standard error"
        assert json.loads(answer) == [repr(value), text]
        assert codec.read(type(value), text, "a value") == value


@pytest.fixture(scope="module")
def bare() -> Iterator[BarePython]:
    command = [sys.executable, "-I", "-S", "-c", BARE, str(PROJECT)]
    with subprocess.Popen(
        command, env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        yield BarePython(process)


def written_for(made: Plan) -> Iterator[Any]:
    """Yield all that a plan's nodes are given."""
    at = addresses(made)
    every = manifests(made, at)
    yield proof_spec(made, at, every)
    for node, manifest in every.items():
        yield replace(manifest, identity="i-0123456789abcdef0")
        yield installed(made, node)
        yield InstallSpec.of(installed(made, node), {"HF_TOKEN": TOKEN})
        yield probe_spec(made, at, node)
        yield from [manifest.firewall] if manifest.firewall else []


@drawing(max_examples=25, deadline=None)
@given(file=stack_files())
def test_bare_python_reads_what_planning_writes(bare: BarePython, file: Settings) -> None:
    for value in written_for(planned(file)):
        bare.check(value)


def test_bare_python_reads_what_only_some_targets_have(bare: BarePython) -> None:
    hosts = {
        "kind": "hosts",
        "inventory": [{"name": f"h{n}", "address": f"10.0.0.{n}"} for n in (1, 2)],
        "firewall": {"mode": "manage", "clients": ["203.0.113.0/24", "10.1.0.1"], "openPorts": [80]},
    }
    roles = {"prefill": {"replicas": 1}, "decode": {"replicas": 1}}
    plans = [
        plan(settings("disagg", roles, target=hosts, engine="vllm")),
        plan(disagg(runtime={"kind": "container", "image": "registry/dynamo:1"})),
        plan(disagg(runtime={"kind": "preinstalled", "path": "/opt/dynamo"})),
        aws_plan(lifetime={"maxMinutes": 480, "idleMinutes": 30}),
    ]
    found = [value for made in plans for value in written_for(made)]
    for value in found:
        bare.check(value)
    given = [value for value in found if isinstance(value, Manifest)]
    assert any(manifest.firewall for manifest in given)
    assert any(manifest.watch for manifest in given)
    assert {manifest.runtime.engine.kind for manifest in given} == {"venv", "container", "preinstalled"}
    bare.check(spec())


def recorded() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the specifications in recorded states of release 0.1.0: the standard inputs of commands."""

    def inputs(value: Any) -> Iterator[str]:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if key == "stdin" and isinstance(item, str) and item.startswith("{"):
                yield item
            elif isinstance(item, dict | list):
                yield from inputs(item)

    for path in (PROJECT / "tests" / "aws" / "states" / "0.1.0").glob("*.json"):
        yield from ((text, json.loads(text)) for text in inputs(json.loads(path.read_text(encoding="utf-8"))))


def test_what_states_of_release_0_1_hold_is_still_read() -> None:
    found = list(recorded())
    given = [text for text, content in found if "services" in content]
    proofs = [text for text, content in found if "nats" in content]
    installs = [text for text, content in found if "variant" in content]
    assert given
    assert proofs
    assert installs
    for text in given:
        assert documents.manifest(text).services.keys() == json.loads(text)["services"].keys()
    for text in proofs:
        assert documents.proof_spec(text).instances
    for text in installs:
        codec.read(InstallSpec, text, "a runtime spec")


def test_a_proof_spec_of_release_0_2_keeps_its_engines_other_ranks() -> None:
    made = plan(settings("agg", {"aggregated": {"parallelism": {"tensor": 2}}}))
    wanted = proof_spec(made, addresses(made), manifests(made, addresses(made)))
    assert [instance.headless for instance in wanted.instances] == [{"aggregated-0-rank-1": "node-2"}]
    old = codec.encode(wanted) | {"headless": {"aggregated-0-rank-1": "node-2"}}
    old["instances"][0]["headless"] = ["aggregated-0-rank-1"]
    assert documents.proof_spec(json.dumps(old)) == wanted
    del old["instances"][0]["headless"]
    assert documents.proof_spec(json.dumps(old)).instances[0].headless == {}
    for headless, instances in ([], []), ({}, 1), ({}, [1]):
        with pytest.raises(BadInputError, match="standard input is not a proof spec"):
            documents.proof_spec(json.dumps(old | {"headless": headless, "instances": instances}))


def test_a_service_is_read_with_flags_of_every_form() -> None:
    body = {"module": "dynamo.vllm", "ready": {"process": True, "seconds": 1}, "stop": {"seconds": 1}}
    flags = {"a": True, "b": 1, "c": 0.5, "d": "x", "e": [1, "y", None, [True]], "f": {"g": {"h": 1.0}}}
    service = codec.decode(Service, body | {"flags": flags}, "a service")
    assert service.flags == flags
    assert [type(value) for value in service.flags.values()] == [bool, int, float, str, list, dict]
