"""The commands of Dynamo's "Multi-node Examples", and what every process is told besides."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nodectl.contract import codec
from nodectl.contract.manifest import Service
from nodectl.services.argv import Folders, argv
from planning import plan
from planning.aws.efa_nvme import efa_environment
from planning.commands import arguments, reserved
from planning.commands import flags as planning_flags
from planning.commands.flags import problems as flag_problems
from settings import Settings
from tests.unit.plan_examples import HUB_TOKEN, LLAMA, agg, disagg, real, services, settings

GUIDE = {"parallelism": {"tensor": 8}, "flags": {"enforce-eager": True}}
GUIDE_AGG = real("agg", {"aggregated": GUIDE | {"replicas": 2}})
GUIDE_DISAGG = real("disagg", {"prefill": GUIDE, "decode": GUIDE})
GUIDE_LARGE = real("agg", {"aggregated": GUIDE | {"parallelism": {"tensor": 16}}})

EVENTS = '\'{"publisher":"zmq","endpoint":"ipc://@dynamo-kv-10.0.0.%d-0","enable_kv_cache_events":true}\''
TRANSFER = (
    '\'{"kv_connector":"NixlConnector","kv_role":"%s",'
    '"kv_connector_extra_config":{"backends":["LIBFABRIC"]}}\''
)
SPANNING = "--disable-custom-all-reduce --distributed-executor-backend mp --enforce-eager"

GOLDEN = [
    (
        GUIDE_AGG,
        {
            "node-1/frontend": "dynamo.frontend --http-host 10.0.0.1 --http-port 8000 --migration-limit 3 "
            "--namespace-prefix dynamo --router-mode kv",
            "node-1/aggregated-0": f"dynamo.vllm --enforce-eager --kv-events-config {EVENTS % 1} "
            f"--model /hub --served-model-name {LLAMA} --tensor-parallel-size 8",
            "node-2/aggregated-1": f"dynamo.vllm --enforce-eager --kv-events-config {EVENTS % 2} "
            f"--model /hub --served-model-name {LLAMA} --tensor-parallel-size 8",
        },
    ),
    (
        GUIDE_DISAGG,
        {
            "node-1/prefill-0": "dynamo.vllm --disaggregation-mode prefill --enforce-eager "
            f"--kv-events-config {EVENTS % 1} --kv-transfer-config {TRANSFER % 'kv_producer'} "
            f"--model /hub --served-model-name {LLAMA} --tensor-parallel-size 8",
            "node-2/decode-0": "dynamo.vllm --disaggregation-mode decode --enforce-eager "
            f"--kv-transfer-config {TRANSFER % 'kv_consumer'} "
            f"--model /hub --served-model-name {LLAMA} --tensor-parallel-size 8",
        },
    ),
    (
        GUIDE_LARGE,
        {
            "node-1/aggregated-0": f"dynamo.vllm {SPANNING} --kv-events-config {EVENTS % 1} "
            "--master-addr 10.0.0.1 --master-port 29501 "
            "--model /hub --nnodes 2 --node-rank 0 "
            f"--served-model-name {LLAMA} --tensor-parallel-size 16",
            "node-2/aggregated-0-rank-1": f"dynamo.vllm {SPANNING} --headless "
            "--master-addr 10.0.0.1 --master-port 29501 --model /hub "
            f"--nnodes 2 --node-rank 1 --served-model-name {LLAMA} --tensor-parallel-size 16",
        },
    ),
]


def command_line(service: Service) -> str:
    """Return what is typed after `python -m`."""
    folders = Folders(
        Path("/env"),
        "python",
        stores={},
        data=Path("/d"),
        models=Path("/m"),
        s3=Path("/s3"),
        model=Path("/hub"),
    )
    return shlex.join(argv(service, folders)[2:])


@pytest.mark.parametrize(("file", "expected"), GOLDEN, ids=["agg", "disagg", "large"])
def test_the_guides_commands_run_on_its_nodes(file: Settings, expected: dict[str, str]) -> None:
    found = services(file)
    assert {name: command_line(found[name]) for name in expected} == expected
    assert found.keys() == expected.keys() | {"node-1/nats", "node-1/etcd", "node-1/frontend"}


@pytest.mark.parametrize("file", [GUIDE_AGG, GUIDE_DISAGG, GUIDE_LARGE], ids=["agg", "disagg", "large"])
def test_every_dynamo_process_is_given_the_heads_nats_and_etcd(file: Settings) -> None:
    dynamo = [service for service in services(file).values() if service.module.startswith("dynamo.")]
    assert dynamo
    for service in dynamo:
        assert service.env["NATS_SERVER"] == "nats://10.0.0.1:4222"
        assert service.env["ETCD_ENDPOINTS"] == "10.0.0.1:2379"
        assert service.env["DYN_EVENT_PLANE"] == "nats"
        assert service.env["ETCD_LEASE_TTL"] == "120"
        assert service.after == ["10.0.0.1:4222", "10.0.0.1:2379"]


def test_nats_has_jetstream_and_etcd_and_it_keep_their_data_on_the_nodes_disk() -> None:
    found = services(agg())
    assert found["node-1/nats"].flags["jetstream"] is True
    assert found["node-1/nats"].flags["store_dir"] == "${data}/nats"
    assert found["node-1/etcd"].flags["data-dir"] == "${data}/etcd"


def test_every_rendered_flag_is_one_that_its_module_has() -> None:
    every = real("disagg", {"prefill": GUIDE, "decode": GUIDE, "frontend": {"replicas": 2}})
    for file in (GUIDE_AGG, GUIDE_LARGE, every, agg(), disagg()):
        for service in services(file).values():
            if service.module.startswith("dynamo."):
                assert flag_problems(service.module, service.flags) == []


def test_simulated_workers_are_told_their_role_and_the_generated_model() -> None:
    found = services(disagg())
    assert command_line(found["node-1/prefill-0"]) == (
        "dynamo.mocker --block-size 16 --disaggregation-mode prefill "
        "--model-name tiny --model-path /m/tiny --speedup-ratio 10"
    )
    assert found["node-2/decode-0"].flags["disaggregation-mode"] == "decode"
    assert "disaggregation-mode" not in services(agg())["node-2/aggregated-1"].flags


def test_a_simulated_engine_over_two_nodes_is_one_mocker_and_a_stand_in_that_holds_on_to_it() -> None:
    roles = {"aggregated": {"parallelism": {"tensor": 2}}}
    found = services(settings("agg", roles))
    standin = found["node-2/aggregated-0-rank-1"]
    assert found["node-1/aggregated-0"].module == "dynamo.mocker"
    assert (standin.module, standin.flags) == ("nodectl.services.rank_standin", {"connect": "10.0.0.1:9090"})
    assert standin.gang is not None
    assert (standin.gang.id, standin.gang.rank, standin.gang.size) == ("aggregated-0", 1, 2)
    assert standin.ready.process


def test_local_engines_over_several_nodes_never_share_a_rendezvous_port() -> None:
    roles = {"aggregated": {"replicas": 8, "parallelism": {"tensor": 2}}}
    found = services(settings("agg", roles, engine="vllm"))
    masters = [s.flags["master-port"] for s in found.values() if s.flags.get("node-rank") == 0]
    assert len(set(masters)) == len(masters) == 8


def test_engines_of_one_node_listen_on_ports_of_their_own_slot() -> None:
    target = {"kind": "local", "gpusPerNode": 4}
    roles = {"aggregated": {"replicas": 2, "parallelism": {"tensor": 2}}}
    second = services(settings("agg", roles, target=target))
    env = second["node-1/aggregated-1"].env
    assert (env["DYN_TCP_RPC_PORT"], env["DYN_SYSTEM_PORT"]) == ("9421", "9092")
    assert second["node-1/aggregated-1"].gpus == [2, 3]


def test_several_frontends_run_one_a_node_and_share_what_they_route() -> None:
    found = services(settings("agg", {"frontend": {"replicas": 2}, "aggregated": {"replicas": 3}}))
    frontends = {name: service for name, service in found.items() if name.endswith("/frontend")}
    assert list(frontends) == ["node-1/frontend", "node-2/frontend"]
    assert all(service.flags["router-replica-sync"] is True for service in frontends.values())
    assert "router-replica-sync" not in services(agg())["node-1/frontend"].flags


def test_kv_events_are_published_only_where_a_kv_router_reads_them() -> None:
    roles = {"aggregated": GUIDE, "frontend": {"flags": {"router-mode": "round-robin"}}}
    assert "kv-events-config" not in services(real("agg", roles))["node-1/aggregated-0"].flags


def test_real_vllm_without_a_gpu_is_told_so() -> None:
    found = services(disagg(decode=1, engine="vllm"))["node-2/decode-0"]
    assert found.env["VLLM_CPU_KVCACHE_SPACE"] == "1"
    assert found.env["VLLM_NIXL_SIDE_CHANNEL_HOST"] == "10.0.0.2"
    transfer: Any = found.flags["kv-transfer-config"]
    assert transfer["kv_buffer_device"] == "cpu"


def test_defaults_give_way_to_the_stack_file() -> None:
    roles = {
        "aggregated": {"flags": {"speedup-ratio": 1}, "env": {"HF_HUB_OFFLINE": "0"}},
        "frontend": {"flags": {"migration-limit": 0}},
    }
    found = services(settings("agg", roles))
    assert found["node-1/aggregated-0"].flags["speedup-ratio"] == 1
    assert found["node-1/aggregated-0"].env["HF_HUB_OFFLINE"] == "0"
    assert found["node-1/frontend"].flags["migration-limit"] == 0


def test_frontends_give_a_silent_host_up_before_requests_queue_up_for_it() -> None:
    found = services(agg(replicas=2))["node-1/frontend"]
    assert int(found.env["DYN_TCP_CONNECT_TIMEOUT"]) < 3
    assert int(found.env["DYN_TCP_REQUEST_TIMEOUT"]) < 10


def test_what_reports_of_users_ask_for_is_a_default_that_gives_way() -> None:
    spanning = services(GUIDE_LARGE)["node-1/aggregated-0"]
    assert spanning.flags["disable-custom-all-reduce"] is True
    assert spanning.env["DYN_HEALTH_CHECK_ENABLED"] == "true"
    assert "disable-custom-all-reduce" not in services(GUIDE_AGG)["node-1/aggregated-0"].flags
    assert int(services(agg())["node-1/frontend"].env["DYN_HTTP_BACKEND_STREAM_TIMEOUT_SECS"]) > 0
    roles = {
        "aggregated": GUIDE
        | {
            "parallelism": {"tensor": 16},
            "flags": {"disable-custom-all-reduce": False},
            "env": {"DYN_HEALTH_CHECK_ENABLED": "false"},
        },
        "frontend": {"env": {"DYN_HTTP_BACKEND_STREAM_TIMEOUT_SECS": "0"}},
    }
    found = services(real("agg", roles))
    assert found["node-1/aggregated-0"].flags["disable-custom-all-reduce"] is False
    assert found["node-1/aggregated-0"].env["DYN_HEALTH_CHECK_ENABLED"] == "false"
    assert found["node-1/frontend"].env["DYN_HTTP_BACKEND_STREAM_TIMEOUT_SECS"] == "0"


@pytest.mark.parametrize(
    "file",
    [GUIDE_DISAGG, GUIDE_LARGE, agg(), disagg(), disagg(engine="vllm")],
    ids=["disagg", "large", "simulated agg", "simulated disagg", "cpu"],
)
def test_whatever_planning_sets_is_either_a_default_or_refused_in_a_stack_file(file: Settings) -> None:
    defaults = arguments.DEFAULT_ENV | arguments.DEFAULT_FRONTEND_ENV | arguments.DEFAULT_WORKER_ENV
    defaults |= (
        arguments.DEFAULT_CPU_ENV
        | arguments.DEFAULT_VLLM_ENV
        | arguments.DEFAULT_UCX_ENV
        | dict(efa_environment(file))
    )
    for service in services(file).values():
        if service.module not in reserved.FLAGS:
            continue
        own_flags = set(service.flags) - {"enforce-eager"}
        free = arguments.DEFAULT_FLAGS[service.module].keys() | arguments.DEFAULT_SPANNING_FLAGS.keys()
        assert own_flags <= reserved.FLAGS[service.module].keys() | free
        flags = planning_flags.variables(service.module)
        ours = {name for name in service.env.keys() - defaults.keys() if not reserved.refused(name)}
        assert all(flags[name] in reserved.FLAGS[service.module] for name in ours)


OFFLINE: Mapping[str, tuple[Mapping[str, str], bool]] = {
    "by default": ({}, True),
    "in other words": ({"HF_HUB_OFFLINE": "yes"}, True),
    "by another name": ({"HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": "on"}, True),
    "not": ({"HF_HUB_OFFLINE": "0"}, False),
    "not, by an empty word": ({"HF_HUB_OFFLINE": ""}, False),
    "not, whatever the other says": ({"HF_HUB_OFFLINE": "false", "TRANSFORMERS_OFFLINE": "1"}, False),
}


@pytest.mark.parametrize(("env", "offline"), OFFLINE.values(), ids=OFFLINE)
def test_a_worker_carries_the_hub_token_only_where_it_may_ask_the_hub(
    env: Mapping[str, str], offline: bool
) -> None:
    found = services(
        real("agg", {"aggregated": {**GUIDE, "replicas": 2, "env": dict(env)}}, huggingFaceToken=HUB_TOKEN)
    )
    assert {name: service.secrets for name, service in found.items() if service.secrets} == (
        {} if offline else {f"node-{n + 1}/aggregated-{n}": ["HF_TOKEN"] for n in range(2)}
    )


def test_the_hub_token_is_held_nowhere_in_a_plan() -> None:
    file = real("agg", {"aggregated": {**GUIDE, "env": {"HF_HUB_OFFLINE": "0"}}}, huggingFaceToken=HUB_TOKEN)
    found = services(file)
    assert not any(HUB_TOKEN in codec.written(service) for service in found.values())
    assert HUB_TOKEN not in repr(plan(file))
