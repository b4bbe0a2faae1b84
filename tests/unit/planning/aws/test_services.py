"""Settings of services on AWS: EFA, instance store, models from S3, the end of machines."""

from typing import Any

import pytest

from nodectl.contract import codec
from nodectl.contract.manifest import Manifest, Service
from nodectl.contract.runtime import ModelSource, RuntimeSpec
from planning import installed, manifests, plan
from settings import Settings
from tests.unit.plan_examples import addresses, agg, disagg, real, services

ONE = {"parallelism": {"tensor": 8}}
TARGET = {
    "kind": "aws",
    "instanceType": "p5.48xlarge",
    "region": "us-east-1",
    "adminRanges": ["203.0.113.7/32"],
}
MODEL = {"source": "path", "name": "small", "path": "/models/small"}
"""One that any machine has room for, as far as planning can tell."""


def aws(pattern: str = "disagg", target: dict[str, Any] | None = None, **others: Any) -> Settings:
    roles = {"prefill": ONE, "decode": ONE} if pattern == "disagg" else {"aggregated": ONE | {"replicas": 2}}
    return real(pattern, roles, **{"target": TARGET | (target or {}), "model": MODEL} | others)


def nodes(of: Settings) -> dict[str, Manifest]:
    planned = plan(of)
    return manifests(planned, addresses(planned))


def worker(of: Settings) -> Service:
    return next(one for name, one in services(of).items() if name.endswith(("/decode-0", "/aggregated-0")))


def worker_env(of: Settings) -> dict[str, str]:
    return worker(of).env


def backends(of: Settings) -> object:
    config = services(of)["node-1/prefill-0"].flags["kv-transfer-config"]
    assert isinstance(config, dict)
    return config.get("kv_connector_extra_config")


@pytest.mark.parametrize(
    ("kind", "fi", "rdma", "libfabric"),
    [
        ("p4d.24xlarge", "efa", "1", True),
        ("p5.48xlarge", "efa", "1", True),
        ("p5e.48xlarge", "efa", "1", True),
        ("p5en.48xlarge", "efa", "1", True),
        ("p6-b200.48xlarge", "efa", "1", True),
        ("p4de.24xlarge", "efa", "1", True),
        ("p6-b300.48xlarge", "efa", "1", True),
        ("g7e.48xlarge", "efa", None, False),
        ("g6e.48xlarge", "efa", None, False),
        ("g6.48xlarge", "efa", None, False),
        ("g5.48xlarge", "efa", None, False),
    ],
)
def test_engines_use_the_efa_that_their_machines_have(
    kind: str, fi: str, rdma: str | None, libfabric: bool
) -> None:
    of = aws(target={"instanceType": kind})
    env = worker_env(of)
    assert env["FI_PROVIDER"] == fi
    assert env.get("FI_EFA_USE_DEVICE_RDMA") == rdma
    assert env["LD_LIBRARY_PATH"].startswith("/opt/amazon/efa/lib:")
    assert backends(of) == ({"backends": ["LIBFABRIC"]} if libfabric else None)
    assert plan(of).runtime.libraries == (["libfabric.so.1", "libhwloc.so.15"] if libfabric else [])


def test_efa_can_be_left_out() -> None:
    of = aws(target={"efa": False})
    assert backends(of) is None
    assert not {"FI_PROVIDER", "LD_LIBRARY_PATH"} & worker_env(of).keys()
    assert plan(of).runtime.libraries == []


def test_aggregated_workers_move_no_kv_blocks_and_need_no_library_for_it() -> None:
    of = aws("agg")
    assert worker_env(of)["FI_PROVIDER"] == "efa"
    assert plan(of).runtime.libraries == []


def test_an_image_brings_its_own_libraries_for_efa() -> None:
    of = aws(runtime={"kind": "container"})
    assert worker_env(of)["FI_PROVIDER"] == "efa"
    assert "LD_LIBRARY_PATH" not in worker_env(of)
    assert plan(of).runtime.libraries == []
    assert backends(of) == {"backends": ["LIBFABRIC"]}


def test_a_stack_file_has_the_last_word_on_efas_environment() -> None:
    role = ONE | {"env": {"FI_EFA_USE_DEVICE_RDMA": "0"}}
    of = real("disagg", {"prefill": role, "decode": role})
    assert worker_env(of)["FI_EFA_USE_DEVICE_RDMA"] == "0"


def test_what_machines_with_gpus_need_is_not_asked_of_a_dedicated_head() -> None:
    planned = plan(aws(head="dedicated"))
    head, worker = installed(planned, "head"), installed(planned, "node-1")
    assert (head.cache, head.libraries) == (None, [])
    assert (worker.cache, worker.libraries) == ("nvme", ["libfabric.so.1", "libhwloc.so.15"])
    assert (head.stores is None, worker.stores is None) == (False, True)


def test_simulated_engines_have_nothing_that_an_instance_store_would_help() -> None:
    assert plan(aws(engine="mocker")).runtime.cache is None


@pytest.mark.parametrize("of", [agg(), disagg()], ids=["agg", "disagg"])
def test_manifests_elsewhere_say_nothing_of_what_only_clouds_have(of: Settings) -> None:
    for manifest in nodes(of).values():
        body = codec.encode(manifest)
        assert "watch" not in body
        assert not {"cache", "libraries", "lifetime"} & body["runtime"].keys()
        assert codec.read(Manifest, codec.written(manifest), "a manifest") == manifest


def test_a_model_from_s3_is_served_by_its_path_below_its_own_name() -> None:
    model = {"source": "s3", "name": "llama", "uri": "s3://my-models/llama/instruct"}
    of = aws(model=model)
    flags = worker(of).flags
    assert flags["model"] == "${s3}/my-models/llama/instruct"
    assert flags["served-model-name"] == "llama"
    assert plan(of).runtime.model == ModelSource(kind="s3", name="s3://my-models/llama/instruct")


def test_every_node_is_told_how_long_it_lives_and_restarts_nothing_for_it() -> None:
    short, long = (aws(target={"lifetime": {"maxMinutes": minutes}}) for minutes in (60, 120))
    found = plan(short).runtime.lifetime
    assert found is not None
    assert (found.minutes, found.warn_minutes) == (60, 10)
    assert plan(aws()).runtime.lifetime is None
    before, after = nodes(short), nodes(long)
    assert before != after
    for name, manifest in before.items():
        assert manifest.services == after[name].services
        assert manifest.rollout == after[name].rollout
        assert manifest.generation == after[name].generation


def test_the_head_alone_asks_whether_the_deployment_idles() -> None:
    of = aws(target={"lifetime": {"idleMinutes": 30, "warnMinutes": 5}})
    found = {name: manifest.watch for name, manifest in nodes(of).items()}
    first, second = found["node-1"], found["node-2"]
    assert first is not None
    assert second is not None
    assert first.frontends == ["http://10.0.0.1:8000"]
    assert second.frontends == []
    assert (second.idle_minutes, second.warn_minutes, second.etcd) == (30, 5, "10.0.0.1:2379")
    assert not first.spot


def test_a_spot_machine_drains_the_engines_that_have_a_part_on_it() -> None:
    spanning = {"parallelism": {"tensor": 16}, "replicas": 2}
    of = real(
        "agg",
        {"aggregated": spanning},
        target=TARGET | {"purchase": "spot"},
        rollout={"drainSeconds": 45},
    )
    found = {name: manifest.watch for name, manifest in nodes(of).items()}
    listed = {name: one.workers for name, one in found.items() if one is not None}
    first, second = ["10.0.0.1:9401"], ["10.0.0.3:9401"]
    assert listed == {"node-1": first, "node-2": first, "node-3": second, "node-4": second}
    assert all(one is not None and one.drain_seconds == 45 and one.spot for one in found.values())


def test_a_machine_that_nothing_can_happen_to_is_not_watched() -> None:
    assert all(manifest.watch is None for manifest in nodes(aws()).values())


def test_a_runtime_spec_of_before_is_still_read() -> None:
    before = {"variant": "mocker", "lock": "x", "model": {"kind": "generated", "name": "tiny"}}
    assert codec.decode(RuntimeSpec, before, "a runtime spec").cache is None


def test_machines_of_a_capacity_block_watch_for_its_end_and_a_head_on_demand_does_not() -> None:
    block = {"purchase": {"option": "capacity-block", "reservationId": "cr-0123456789abcdef0"}}
    of = aws(target=block | {"zone": "us-east-1a"}, head="dedicated")
    found = {name: manifest.watch for name, manifest in nodes(of).items()}
    assert found.pop("head") is None
    assert found
    for watch in found.values():
        assert watch is not None
        assert not watch.spot
        assert watch.workers, "what is drained"
        assert watch.ends is None, "who asked the account says it"
