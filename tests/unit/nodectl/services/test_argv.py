"""A service of the manifest becomes the arguments that its program really gets."""

from pathlib import Path
from typing import Any

import pytest

from nodectl.contract import codec
from nodectl.contract.manifest import FlagValue, Service
from nodectl.services.argv import Folders, argv

FOLDERS = Folders(
    Path("/env"),
    engine="/env/bin/python",
    stores={"etcd": Path("/env/bin/etcd"), "nats-server": Path("/env/bin/nats-server")},
    data=Path("/node/data"),
    models=Path("/cache/it's a model"),
    s3=Path("/cache/s3"),
)


def service(module: str, flags: dict[str, FlagValue]) -> Service:
    rest: dict[str, Any] = {"ready": {"process": True, "seconds": 1}, "stop": {"seconds": 1}}
    return codec.decode(Service, {"module": module, "flags": flags} | rest, "a service")


@pytest.mark.parametrize(
    ("value", "arguments"),
    [
        (True, ["--flag"]),
        (False, ["--no-flag"]),
        (8, ["--flag", "8"]),
        (0, ["--flag", "0"]),
        (0.9, ["--flag", "0.9"]),
        ("text with 'quotes' and $(x)", ["--flag", "text with 'quotes' and $(x)"]),
        ("", ["--flag", ""]),
        ("-1", ["--flag=-1"]),
        (-1, ["--flag=-1"]),
        (["a", 2, {"b": 1}], ["--flag", "a", "2", '{"b":1}']),
        ([], ["--flag"]),
        ({"role": "kv_both", "on": True, "name": "ü"}, ["--flag", '{"role":"kv_both","on":true,"name":"ü"}']),
        ("${data}/etcd", ["--flag", "/node/data/etcd"]),
        ("${models}/tiny", ["--flag", "/cache/it's a model/tiny"]),
        ({"path": ["${models}"]}, ["--flag", '{"path":["/cache/it\'s a model"]}']),
        ("${HOME} $data", ["--flag", "${HOME} $data"]),
        ("$${data} $$${s3}", ["--flag", "${data} $${s3}"]),
        ("--", ["--flag=--"]),
        ("-1e-9", ["--flag=-1e-9"]),
        ({"${data}": "${data}"}, ["--flag", '{"${data}":"/node/data"}']),
        ({"factor": 4.0}, ["--flag", '{"factor":4.0}']),
    ],
)
def test_a_flag_becomes_the_arguments_that_its_value_asks_for(value: FlagValue, arguments: list[str]) -> None:
    found = argv(service("dynamo.vllm", {"flag": value}), FOLDERS)
    assert found == ["/env/bin/python", "-m", "dynamo.vllm", *arguments]


def test_flags_come_in_the_order_of_their_names_whatever_the_manifest_says() -> None:
    flags: dict[str, FlagValue] = {"tensor-parallel-size": 8, "enforce-eager": True, "model": "m"}
    backwards = dict(reversed(flags.items()))
    expected = ["--enforce-eager", "--model", "m", "--tensor-parallel-size", "8"]
    for given in (flags, backwards):
        assert argv(service("dynamo.vllm", given), FOLDERS)[3:] == expected


@pytest.mark.parametrize("program", ["etcd", "nats-server"])
def test_a_program_is_taken_from_the_node_environment(program: str) -> None:
    assert argv(service(program, {"port": 4222}), FOLDERS) == [f"/env/bin/{program}", "--port", "4222"]
