"""Arguments for podman and docker, one by one."""

import resource
from pathlib import Path

import pytest

from nodectl.common import limits
from nodectl.common.errors import BadInputError
from nodectl.common.layout import Layout
from nodectl.common.surroundings import PROXIES
from nodectl.runtime import container
from nodectl.runtime.container import Container, Mount
from nodectl.supervisors import launch
from nodectl.supervisors.launch import Launch

ARGV = ["python3", "-m", "dynamo.vllm", "--model", "/models/it's"]
MOUNTS = (Mount(Path("/node/data"), writable=True), Mount(Path("/models")))


OWN = min(limits.most(), resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def launched(program: str, gpus: list[int]) -> Launch:
    options = container.options(program, "dynamo-a", gpus=gpus, mounts=MOUNTS, stop_seconds=75)
    made = Container(program=program, name="dynamo-a", image="registry/vllm:1", options=options)
    return Launch(
        argv=ARGV,
        env={"B": "two words", "A": "1"},
        secrets=["HF_TOKEN"],
        after=[],
        stop_seconds=75,
        gang=None,
        container=made,
    )


def expected(program: str, devices: list[str]) -> list[str]:
    return [
        program,
        "run",
        "--rm",
        "--name=dynamo-a",
        "--network=host",
        "--ipc=host",
        "--init",
        "--pull=never",
        "--log-driver=none",
        "--ulimit=memlock=-1",
        "--ulimit=core=0",
        "--security-opt=label=disable",
        "--stop-timeout=75",
        *devices,
        "--volume=/node/data:/node/data",
        "--volume=/models:/models:ro",
        f"--ulimit=nofile={limits.most() if program.endswith('docker') else OWN}",
        *sorted(
            ["--env=A=1", "--env=B=two words", "--env=PYTHONSAFEPATH=1", *(f"--env={n}=" for n in PROXIES)]
        ),
        "--env=HF_TOKEN",
        "registry/vllm:1",
        *ARGV,
    ]


@pytest.mark.parametrize(
    ("program", "gpus", "devices"),
    [
        ("/usr/bin/podman", [2, 3], ["--device=nvidia.com/gpu=2", "--device=nvidia.com/gpu=3"]),
        ("/usr/bin/docker", [2, 3], ['--gpus="device=2,3"']),
        ("/usr/bin/podman", [], []),
        ("/usr/bin/docker", [], []),
    ],
)
def test_a_service_becomes_exactly_these_arguments(program: str, gpus: list[int], devices: list[str]) -> None:
    assert launch.command(launched(program, gpus)) == expected(program, devices)


def test_a_secret_reaches_the_client_by_its_environment_and_no_value_of_the_service_does(
    tmp_path: Path,
) -> None:
    layout = Layout.at(tmp_path)
    layout.make()
    layout.secret("HF_TOKEN").write_text("hf_planted")
    one = launched("/usr/bin/podman", [])
    given = launch.environment(one, layout, {"PATH": "/bin", "PYTHONPATH": "/nodectl"})
    assert given == {"PATH": "/bin", "HF_TOKEN": "hf_planted"}
    assert "hf_planted" not in " ".join(launch.command(one))
    assert "hf_planted" not in one.text()


def test_a_container_has_one_name_for_every_start_and_another_on_another_node() -> None:
    here, there = Path("/a/stack/node-1"), Path("/b/stack/node-1")
    assert container.name(here, "prefill-0") == container.name(here, "prefill-0")
    assert container.name(here, "prefill-0") != container.name(there, "prefill-0")
    assert container.name(Path("/a/b/it's a node"), "x").startswith("dynamo-it-s-a-node-x-")


def test_a_folder_that_a_volume_cannot_name_is_refused() -> None:
    with pytest.raises(BadInputError, match="/odd:folder: a folder with a colon"):
        container.options("podman", "a", gpus=(), mounts=[Mount(Path("/odd:folder"))], stop_seconds=1)


@pytest.mark.parametrize(
    ("there", "found"),
    [(("podman", "docker"), "podman"), (("docker",), "docker"), (("podman",), "podman")],
)
def test_auto_takes_podman_and_docker_where_there_is_none(
    there: tuple[str, ...], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in there:
        (tmp_path / program).touch(0o755)
    monkeypatch.setattr("nodectl.common.programs._FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert container.find("auto") == str(tmp_path / found)


def test_without_podman_and_docker_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodectl.common.programs._FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInputError, match=r"podman and docker cannot be found.*apt install podman"):
        container.find("auto")
