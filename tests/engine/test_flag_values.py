"""Errors of plan for values of flags, compared to those of Dynamo's frontend and simulated engine."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodectl.contract.manifest import FlagValue, Ready, Service, Stop
from nodectl.services.argv import Folders, argv
from nodectl.verbs.install import provide
from planning import manifests, plan
from planning.commands import flags, reserved
from settings import Settings
from settings.problems import StackFileError
from tests.engine.parsers import ask
from tests.install_specs import spec
from tests.unit.plan_examples import settings

PROJECT = Path(__file__).parents[2]
ROLES = {"dynamo.frontend": "frontend", "dynamo.mocker": "aggregated"}
BESIDES = {
    "dynamo.frontend": ["--router-mode=kv"],
    "dynamo.mocker": ["--model-path=model", "--model-name=name", "--block-size=16"],
}
POOL: list[FlagValue] = [
    *(0, 1, -1, 2, 3, 16, 64, 300, 512, 4096, 65535, 65536, 2**32, 2**53, 0.5, 1.5, 1e-9, -0.5, 1e300),
    *(
        "x",
        "two words",
        "None",
        "auto",
        "8k",
        "-",
        "-x",
        "1e3",
        "0x10",
        "{}",
    ),
    *("2", "2.0", "true", "/nowhere"),
    True,
    False,
    [1],
    ["a", "b"],
    {"a": 1},
    {},
]
"""Values as people write them, rightly or not."""


@pytest.fixture(scope="module")
def model() -> tuple[str, str]:
    """Python of the simulated engine's environment, and the generated model's folder."""
    found = provide(spec())
    return str(found["python"]), str(found["model"])


def command_line(service: Service, folder: str = "model") -> list[str]:
    folders = Folders(
        Path("/env"), engine="python", stores={}, data=Path("/data"), models=Path(folder), s3=Path("/s3")
    )
    return argv(service, folders)[3:]


def test_plan_refuses_those_values_of_a_flag_that_its_module_refuses(model: tuple[str, str]) -> None:
    cases = [
        (module, name, value)
        for module in ROLES
        for name, flag in flags.known(module).items()
        if not {name, *flag.get("also", ())} & reserved.FLAGS[module].keys()
        if {"accepts", "choices"} & flag.keys() and flag["takes"] == "value"
        for value in [
            *POOL,
            *flag.get("choices", ()),
            *(flag[edge] for edge in ("least", "most") if edge in flag),
        ]
        if not isinstance(value, bool | list | dict)
    ]
    lines = [
        (module, [*BESIDES[module], *command_line(alone(module, name, value))])
        for module, name, value in cases
    ]
    wrong = {
        f"{module} {name}: {value!r}": complaint
        for (module, name, value), complaint in zip(cases, ask(model[0], "check", lines), strict=True)
        if bool(complaint) != bool(flags.problems(module, {name: value})) and not depends_on_others(complaint)
    }
    assert wrong == {}


def alone(module: str, name: str, value: FlagValue) -> Service:
    """Return a service with one flag."""
    return Service(
        module=module, flags={name: value}, ready=Ready(process=True, seconds=1), stop=Stop(seconds=1)
    )


def depends_on_others(complaint: str | None) -> bool:
    """Return whether a value is only wrong beside others: that is `planning.commands.combinations`."""
    words = ("require", "No such file", "aisimulate", "AIS", "without a word")
    return bool(complaint) and any(word in str(complaint) for word in words)


def right_values(module: str) -> dict[str, list[FlagValue]]:
    """Return for each flag that a stack file may pass on what it may be given."""
    known = flags.known(module)
    return {
        name: [
            value for value in [*POOL, *flag.get("choices", ())] if not flags.problems(module, {name: value})
        ]
        for name, flag in known.items()
        if not {name, *flag.get("also", ())} & reserved.FLAGS[module].keys()
        and (module == "dynamo.frontend" or "routes" not in flag)
    }


def stack_files() -> Iterator[Settings]:
    """Draw stack files whose roles pass on a few flags, the same ones each time."""
    drawn = random.Random(10)
    right = {module: right_values(module) for module in ROLES}

    def some(module: str) -> dict[str, FlagValue]:
        names = drawn.sample(sorted(right[module]), drawn.randint(0, 4))
        return {name: drawn.choice(right[module][name]) for name in names}

    for _ in range(600):
        pattern = drawn.choice(["agg", "disagg"])
        workers = ["aggregated"] if pattern == "agg" else ["prefill", "decode"]
        roles: dict[str, Any] = {name: {"flags": some("dynamo.mocker")} for name in workers}
        roles["frontend"] = {"flags": some("dynamo.frontend")}
        yield settings(pattern, roles)


def test_whatever_plan_accepts_gets_past_the_checks_of_the_modules(model: tuple[str, str]) -> None:
    lines = []
    for file in stack_files():
        try:
            planned = plan(file)
        except StackFileError:
            continue
        addresses = {node.name: f"10.0.0.{number}" for number, node in enumerate(planned.nodes, 1)}
        lines += [
            (service.module, command_line(service, str(Path(model[1]).parent)))
            for manifest in manifests(planned, addresses).values()
            for service in manifest.services.values()
            if service.module in ROLES
        ]
    assert len(lines) > 300
    complaints = dict(zip(map(str, lines), ask(model[0], "check", lines), strict=True))
    # whether a file is there, plan cannot know
    wrong = {
        line: complaint for line, complaint in complaints.items() if complaint and "/nowhere" not in line
    }
    assert wrong == {}
