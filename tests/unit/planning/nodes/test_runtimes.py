"""From `runtime` in a stack file to what is installed, refused, restarted and noted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodectl.contract import codec
from nodectl.contract.runtime import RuntimeSpec
from nodectl.versions import lock_digest, pins, store_releases
from planning import describe, installed, manifests, plan
from planning.changes.topology import restarts, topology
from planning.rehearsal import rehearsal
from settings import Settings
from settings.loader import from_config, read_stack_file
from settings.problems import StackFileError
from tests.unit.plan_examples import AWS, addresses, agg, real
from tests.unit.plan_examples import settings as shaped

CONTAINER = {"kind": "container", "image": "registry.example.org/dynamo:9"}
PREINSTALLED = {"kind": "preinstalled", "path": "/opt/dynamo"}
STACKS = Path(__file__).parents[4] / "stacks"
SOURCES = ("bundled", "distribution", "release")
RELEASE = {"kind": "venv", "stores": {"source": "release"}}


def gpu(**others: Any) -> Settings:
    return real("agg", {"aggregated": {"replicas": 2, "parallelism": {"tensor": 8}}}, **others)


def store(source: str, sha256: str) -> str:
    download = {"url": "https://example.org/etcd.tar.gz", "sha256": sha256}
    return json.dumps({"kind": "venv", "stores": {"source": source, "etcd": download}})


def spec(settings: Settings, node: str = "node-1") -> RuntimeSpec:
    planned = plan(settings)
    return manifests(planned, addresses(planned))[node].runtime


def test_without_a_word_of_it_an_environment_of_the_lock_is_made() -> None:
    found = spec(agg())
    assert (found.environment, found.lock, found.engine.kind) == ("mocker", lock_digest("mocker"), "venv")


def test_an_engine_from_elsewhere_leaves_nodectl_a_small_environment_of_its_own() -> None:
    container, preinstalled = spec(agg(runtime=CONTAINER)), spec(agg(runtime=PREINSTALLED))
    assert (container.environment, preinstalled.environment) == ("node", "node")
    assert container.lock == lock_digest("node")
    assert lock_digest("mocker") in preinstalled.lock


def test_the_default_image_is_nvidias_of_the_locked_dynamo() -> None:
    engine = spec(gpu(runtime={"kind": "container"})).engine
    assert codec.encode(engine) == {
        "kind": "container",
        "image": "nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.6.0-efa",
        "program": "auto",
    }


def test_an_image_for_the_cpu_must_be_named() -> None:
    with pytest.raises(
        StackFileError, match=r"runtime.image +missing: the default image serves on GPUs only"
    ):
        plan(agg(engine="vllm", runtime={"kind": "container"}))


def test_only_the_head_gets_nats_and_etcd() -> None:
    settings = agg(runtime=RELEASE)
    head, other = spec(settings), spec(settings, "node-2")
    assert head.stores is not None
    assert set(head.stores.releases) == {"nats-server", "etcd"}
    assert other.stores is None


@pytest.mark.parametrize("settings", [agg, gpu])
def test_a_head_without_engines_is_given_no_model(settings: Callable[..., Settings]) -> None:
    assert spec(settings(head="dedicated"), "head").model is None
    model = spec(settings(head="dedicated"), "node-1").model
    assert model is not None
    assert model == spec(settings(head="colocated"), "node-1").model == plan(settings()).runtime.model


def test_where_frontends_get_a_models_files_from_is_no_choice_of_a_role() -> None:
    roles = {"aggregated": {"replicas": 2, "env": {"DYN_SELF_HOST_METADATA": "false"}}}
    with pytest.raises(StackFileError, match=r"aggregated.env.DYN_SELF_HOST_METADATA"):
        plan(shaped("agg", roles))


def test_a_mirror_takes_the_place_of_a_pinned_release() -> None:
    mirror = {"url": "https://mirror.example.org/etcd.tar.gz", "sha256": "ab" * 32}
    stores = spec(agg(runtime={"kind": "venv", "stores": {"source": "release", "etcd": mirror}})).stores
    assert stores is not None
    assert codec.encode(stores.releases["etcd"]) == mirror
    assert stores.releases["nats-server"].url.startswith("https://github.com/nats-io/")


def test_a_mirror_of_a_pinned_release_has_its_checksum() -> None:
    mirror = {"url": "https://mirror.example.org/etcd.tar.gz"}
    stores = spec(agg(runtime={"kind": "venv", "stores": {"etcd": mirror}})).stores
    assert stores is not None
    assert codec.encode(stores.releases["etcd"]) == mirror | {"sha256": store_releases()["etcd"]["sha256"]}


def changes(before: Settings, after: Settings) -> list[str]:
    old, new = plan(before), plan(after)
    where = addresses(old)
    return [line for line in restarts(topology(old, where), topology(new, where)) if "interrupts" not in line]


def test_another_image_restarts_engines_and_no_store() -> None:
    told = changes(agg(runtime=CONTAINER), agg(runtime=CONTAINER | {"image": "other:1"}))
    assert {line.split()[0] for line in told if " restarts: " in line} == {
        "frontend",
        "aggregated-0",
        "aggregated-1",
    }


def test_another_source_of_stores_restarts_them_and_no_engine() -> None:
    told = changes(agg(), agg(runtime=RELEASE))
    assert told[:2] == [f"{name} on node-1 restarts: runtime changed" for name in ("etcd", "nats")]
    assert not [line for line in told[2:] if " restarts" in line]


def test_another_index_restarts_nothing() -> None:
    assert changes(agg(), agg(runtime={"kind": "venv", "index": "https://example.org/simple"})) == []


@pytest.mark.parametrize(
    ("runtime", "same"),
    [
        (CONTAINER, False),
        (PREINSTALLED, False),
        (RELEASE, True),
        ({"kind": "venv", "wheels": "/srv/wheels"}, True),
    ],
)
def test_workers_pair_only_with_workers_of_the_same_engine(runtime: dict[str, Any], same: bool) -> None:
    assert (plan(agg()).generation == plan(agg(runtime=runtime)).generation) is same


def test_off_this_machine_the_bundled_etcd_is_warned_of() -> None:
    bundled = {"kind": "venv", "stores": {"source": "bundled"}}
    assert "etcd 3.5.1 of the package index may lose data" in describe(plan(gpu(runtime=bundled)))
    assert "may lose data" not in describe(plan(gpu(runtime=RELEASE)))
    assert "may lose data" not in describe(plan(agg(runtime=bundled)))


HOSTS = {
    "kind": "hosts",
    "inventory": [{"name": f"gpu-{number}", "address": f"10.0.0.{number}"} for number in (1, 2)],
}
MIRROR = {"url": "https://mirror.example.org/etcd.tar.gz", "sha256": "ab" * 32}


@pytest.mark.parametrize(
    ("target", "stores", "source"),
    [
        ("local", {}, "bundled"),
        ("hosts", {}, "release"),
        ("aws", {}, "release"),
        *((target, {"source": said}, said) for target in ("local", "hosts", "aws") for said in SOURCES),
        *((target, {"etcd": MIRROR}, "release") for target in ("local", "hosts", "aws")),
    ],
)
@pytest.mark.parametrize("kind", ["venv", "container", "preinstalled"])
def test_machines_that_keep_data_run_official_stores_unless_a_stack_file_says_otherwise(
    target: str, stores: dict[str, Any], source: str, kind: str
) -> None:
    targets: dict[str, dict[str, Any]] = {"local": {"kind": "local"}, "hosts": HOSTS, "aws": AWS}
    engine = {"container": CONTAINER, "preinstalled": PREINSTALLED}.get(kind, {"kind": "venv"})
    of = agg(target=targets[target], engine="mocker", runtime=engine | {"stores": stores})
    head = plan(of).head
    found = spec(of, head).stores
    assert found is not None
    assert found.source == source
    assert found.releases.keys() == ({"etcd", "nats-server"} if source == "release" else set())


@pytest.mark.parametrize("file", sorted(STACKS.glob("Pulumi.*.yaml")), ids=lambda path: path.stem)
def test_shipped_stacks_run_unsafe_stores_only_on_this_machine_and_in_the_lab(file: Path) -> None:
    planned = plan(read_stack_file(file))
    rehearses = planned.settings.target.kind == "local" or file.stem.startswith("Pulumi.lab-")
    assert planned.runtime.stores is not None
    assert planned.runtime.stores.source == ("bundled" if rehearses else "release")


def test_a_stack_that_is_there_is_told_where_its_stores_come_from_now() -> None:
    bundled = {"kind": "venv", "stores": {"source": "bundled"}}
    told = changes(gpu(runtime=bundled), gpu())
    assert [line for line in told if "data stay in the node's folder" in line]
    assert [line for line in told if "`stores: {source: bundled}` below `runtime` keeps what was" in line]
    assert not [line for line in changes(gpu(), gpu()) if "NATS" in line]
    back = changes(gpu(), gpu(runtime=bundled))
    assert [line for line in back if "older than the one that wrote them" in line]
    assert not [line for line in back if "is the default" in line]
    assert not [line for line in changes(gpu(runtime=bundled), gpu(runtime=bundled)) if "NATS" in line]


@pytest.mark.parametrize("kind", ["venv", "container", "preinstalled"])
def test_a_head_without_gpus_is_given_no_environment_for_engines(kind: str) -> None:
    engine = {"container": {"kind": "container"}, "preinstalled": PREINSTALLED}.get(kind, {"kind": "venv"})
    planned = plan(gpu(head="dedicated", runtime=engine))
    where = {node.name: installed(planned, node.name) for node in planned.nodes}
    assert {name: found.variant for name, found in where.items()} == {
        "head": "mocker",
        "node-1": "gpu",
        "node-2": "gpu",
    }
    assert manifests(planned, addresses(planned))["head"].runtime == where["head"]
    assert where["head"].engine == where["node-1"].engine
    assert (where["head"].lock == where["node-1"].lock) is (kind == "container")


def test_a_frontend_that_prepares_requests_with_vllm_has_its_environment() -> None:
    roles = {
        "frontend": {"flags": {"dyn-chat-processor": "vllm"}},
        "aggregated": {"parallelism": {"tensor": 8}},
    }
    assert installed(plan(real("agg", roles, head="dedicated")), "head").variant == "gpu"


def test_frontends_and_workers_are_of_one_dynamo_whatever_is_installed_beside_it() -> None:
    assert len({pins(variant)["ai-dynamo"] for variant in ("mocker", "cpu", "gpu")}) == 1
    assert len({pins(variant)["ai-dynamo-runtime"] for variant in ("mocker", "cpu", "gpu")}) == 1


def test_the_plan_says_where_the_engine_comes_from() -> None:
    assert "image registry.example.org/dynamo:9" in describe(plan(agg(runtime=CONTAINER)))
    assert "environment /opt/dynamo" in describe(plan(agg(runtime=PREINSTALLED)))


def test_a_rehearsal_makes_its_own_environment() -> None:
    assert "dynamo:runtime" not in rehearsal(gpu(runtime=PREINSTALLED))


@pytest.mark.parametrize(
    ("runtime", "told"),
    [
        ('{"kind": "conda"}', 'runtime.kind: "conda"  expected container or preinstalled or venv'),
        (
            '{"index": "https://example.org"}',
            "runtime.kind  missing: expected container or preinstalled or venv",
        ),
        ('{"kind": "preinstalled"}', "runtime.path  missing: expected text"),
        ('{"kind": "preinstalled", "path": "opt/x"}', 'runtime.path: "opt/x"  expected an absolute path'),
        ('{"kind": "venv", "path": "/opt/x"}', "runtime.path  unknown key"),
        (
            '{"kind": "venv", "index": "https://me:secret@example.org/simple"}',
            "put user and password into ~/.netrc",
        ),
        ('{"kind": "venv", "index": "file:///srv"}', "expected a URL of http or https"),
        (
            '{"kind": "venv", "index": "https://example.org", "wheels": "/srv"}',
            'runtime.wheels: "/srv"  does not go with `index`',
        ),
        ('{"kind": "container", "image": "Not An Image"}', "expected an image such as"),
        ('{"kind": "container", "image": "--privileged"}', "expected text without a leading dash"),
        ('{"kind": "container", "program": "lxc"}', "expected auto or podman or docker"),
        (
            store("distribution", "0" * 64),
            "does not go with `source: distribution`",
        ),
        (
            store("release", "12"),
            "expected a SHA-256 checksum",
        ),
    ],
)
def test_a_runtime_that_cannot_be_is_refused_by_key_and_remedy(runtime: str, told: str) -> None:
    config = {
        "dynamo:target": '{"kind": "local"}',
        "dynamo:pattern": "agg",
        "dynamo:model": '{"name": "tiny", "source": "generated"}',
        "dynamo:roles": '{"aggregated": {"replicas": 1}}',
        "dynamo:runtime": runtime,
    }
    with pytest.raises(StackFileError) as refused:
        from_config(config, ())
    text = " ".join(str(refused.value).split("\n"))
    assert " ".join(told.split()) in " ".join(text.split())
    assert "secret@" not in text
