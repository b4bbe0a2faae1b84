"""A deployment whose engine is not in an environment of ours serves all the same."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from nodectl.contract import codec, runtime
from tests.engine.runtimes.conftest import BEHIND_PROXY, IMAGE
from tests.engine.runtimes.deployment import Deployment
from tests.engine.runtimes.image_registry import Registry, serving
from tests.install_specs import spec
from tests.proxy_server import Proxy, forwarding
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(300)

CONTAINER = {"kind": "container", "image": IMAGE, "program": "podman"}


def containers(podman: Path) -> dict[str, str]:
    """Return the main process and the id of every container that runs, by its name."""
    shown = subprocess.run(
        [podman, "ps", "--format", "{{.Names}} {{.Pid}} {{.ID}}"], capture_output=True, text=True, check=True
    )
    return {name: f"{pid} {number}" for name, pid, number in map(str.split, shown.stdout.splitlines())}


def test_a_preinstalled_environment_serves_and_nothing_of_it_is_installed(
    deployment: Deployment, mocker: Path
) -> None:
    golden = {"kind": "preinstalled", "path": str(mocker)}
    deployment.bring_up(golden)
    proof = deployment.prove(golden)
    assert proof.ok, proof.checks[-1]
    made = [path.name for path in (deployment.node.cache / "dynamo-multinode" / "env").iterdir()]
    assert [name.split("-")[0] for name in made if not name.startswith(".")] == ["node"]


def test_containers_serve_and_go_with_the_node(podman: Path, deployment: Deployment) -> None:
    deployment.bring_up(CONTAINER)
    proof = deployment.prove(CONTAINER)
    assert proof.ok, proof.checks[-1]
    assert {name.split("-node-1-")[1].rpartition("-")[0] for name in containers(podman)} == {
        "frontend",
        "aggregated-0",
    }
    applied = deployment.bring_up(CONTAINER)
    assert applied["unchanged"] == ["aggregated-0", "etcd", "frontend", "nats"]
    deployment.node.done("remove")
    assert containers(podman) == {}


def install(
    deployment: Deployment, image: str, proxy: runtime.Proxy | None = None
) -> "subprocess.CompletedProcess[str]":
    """Install no more than the image, and what nodectl itself needs."""
    deployment.node.cache.mkdir(exist_ok=True)
    engine = runtime.ContainerEngine(image=image, program="podman")
    wanted = spec(engine=engine, model=None, stores=None, proxy=proxy)
    return deployment.node.run_machine_verb("install", codec.written(wanted))


def test_an_image_is_pulled_from_its_registry_once_or_said_not_to_be_there(
    layout: Path, deployment: Deployment
) -> None:
    with serving(Registry(layout, "team/dynamo", "1")) as registry:
        pulled, again = install(deployment, registry.image), install(deployment, registry.image)
        absent = install(deployment, f"{registry.address}/team/dynamo:2")
        manifests = [asked for asked in registry.requests if asked == "GET /v2/team/dynamo/manifests/1"]
    assert pulled.returncode == 0, pulled.stderr
    assert json.loads(again.stdout)["cached"]
    assert len(manifests) == 1
    assert absent.returncode == 1
    assert f"{registry.address}/team/dynamo:2" in absent.stderr
    assert "manifest unknown" in absent.stderr
    with serving(Registry(layout, "team/dynamo", "1", login="me:planted-password")) as closed:
        refusal = install(deployment, closed.image)
    assert refusal.returncode == 1
    assert "unauthorized" in refusal.stderr.lower() or "authentication required" in refusal.stderr.lower()
    assert "Traceback" not in refusal.stderr + absent.stderr


def test_an_image_comes_through_the_stack_files_proxy(layout: Path, deployment: Deployment) -> None:
    image = f"{BEHIND_PROXY}/team/dynamo:1"
    prepared = install(deployment, IMAGE)  # nodectl's packages are there then: the proxy is asked for none
    assert prepared.returncode == 0, prepared.stderr
    with (
        serving(Registry(layout, "team/dynamo", "1")) as registry,
        forwarding(Proxy({BEHIND_PROXY: registry.address})) as proxy,
    ):
        pulled = install(deployment, image, runtime.Proxy(http=proxy.address, https=proxy.address))
    assert pulled.returncode == 0, pulled.stderr
    asked = [request.split()[1].removeprefix("http://") for request in proxy.requests]
    assert all(url.startswith(BEHIND_PROXY) for url in asked)
    assert f"{BEHIND_PROXY}/v2/team/dynamo/manifests/1" in asked
    assert any(url.startswith(f"{BEHIND_PROXY}/v2/team/dynamo/blobs/") for url in asked)


def test_a_killed_client_leaves_no_container_beside_its_successors(
    podman: Path, deployment: Deployment
) -> None:
    deployment.bring_up(CONTAINER)
    deployment.completes()
    before = containers(podman)
    client = deployment.node.status()["aggregated-0"].pid
    assert client is not None
    os.kill(client, signal.SIGKILL)

    def replaced() -> bool:
        now = containers(podman)
        return now.keys() == before.keys() and sum(now[name] != before[name] for name in now) == 1

    eventually(replaced, what="one other container took the killed one's place", seconds=60)
    deployment.completes()


def test_a_changed_worker_drains_and_only_its_container_is_another(
    podman: Path, deployment: Deployment
) -> None:
    deployment.bring_up(CONTAINER)
    deployment.completes()
    before = containers(podman)
    applied = deployment.bring_up(CONTAINER, NOTHING="two words; and $(more)")
    assert applied["restarted"] == ["aggregated-0"]
    deployment.completes()
    after = containers(podman)
    changed = [name for name in before if before[name] != after[name]]
    assert [name.split("-node-1-")[1].rpartition("-")[0] for name in changed] == ["aggregated-0"]
    environ = Path(f"/proc/{after[changed[0]].split()[0]}/environ").read_bytes()
    assert b"NOTHING=two words; and $(more)\0" in environ
    assert "drain" in deployment.node.log("aggregated-0").lower()


@pytest.mark.skipif(
    shutil.which("etcd") is None or shutil.which("nats-server") is None,
    reason="needs the packages etcd-server and nats-server",
)
def test_the_distributions_nats_and_etcd_serve(deployment: Deployment) -> None:
    runtime = {"kind": "venv", "stores": {"source": "distribution"}}
    deployment.bring_up(runtime)
    proof = deployment.prove(runtime)
    assert proof.ok, proof.checks[-1]
