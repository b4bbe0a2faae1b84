"""Deployments on existing machines, from `up` to `destroy`, through what happens to machines."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests import hub_server
from tests.engine.deployment.checkout import answers, complete, eventually, listed
from tests.lab.picture import picture
from tests.lab.stacks import AGG, LARGE, LabStacks, disagg
from tests.passphrase import OWN, OWN_SALT
from tests.shells import PROXY_NAMES
from tools.hostlab.host import Host
from tools.hostlab.lab import Lab


@pytest.fixture(scope="module")
def stacks(lab: Callable[[int], Lab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabStacks]:
    """Four hosts as new, and a checkout that brings stacks up on them, in a folder that needs quotes."""
    lab(1).down()
    path = tmp_path_factory.mktemp("checkout") / HOSTILE
    path.mkdir()
    made = LabStacks.make(path, lab(4))
    yield made
    for path in (made.checkout.path / "stacks").glob("Pulumi.on-*.yaml"):
        made.checkout.run("scripts/down", path.name.split(".")[1], check=False)


HOSTILE = 'it\'s "$(touch owned)" `touch owned` ünï'
"""Harmless wherever it is a value, and a file named `owned` where a shell reads it."""


def pictures(lab: Lab) -> dict[str, set[str]]:
    return {host.name: picture(host) for host in lab.hosts}


def serves(stacks: LabStacks, stack: str, workers: int) -> None:
    """Wait until every worker is listed once and requests are answered."""
    outputs = stacks.checkout.outputs(stack)

    def there() -> bool:
        found = listed(outputs)
        return len(set(found)) == len(found) == workers and answers(outputs)

    eventually(there, seconds=60, what=f"{workers} workers serve")


def test_every_pattern_is_proved_and_destroy_leaves_the_hosts_as_they_were(stacks: LabStacks) -> None:
    before = pictures(stacks.lab)
    for stack, shape, hosts, gpus in (
        ("on-agg", AGG, 4, 1),
        ("on-disagg", disagg(1, 2), 3, 1),
        ("on-large", LARGE, 2, 2),
    ):
        stacks.write(stack, shape, hosts=hosts, gpus=gpus)
        assert "FAIL" not in stacks.up(stack)
        assert complete(stacks.checkout.outputs(stack))["usage"]["completion_tokens"] == 8
        stacks.checkout.unchanged(stack)
        stacks.down(stack)
        assert {name: found ^ before[name] for name, found in pictures(stacks.lab).items()} == {
            name: set() for name in before
        }, stack


@contextmanager
def set_to_anything(host: Host) -> Iterator[None]:
    """Make a host's systemd set defaults for all units that nothing of a deployment may follow."""
    proxies = dict.fromkeys(PROXY_NAMES, "http://127.0.0.1:9")
    names = {**proxies, "HF_HUB_CACHE": "/planted", "LANG": "tr_TR.UTF-8", "PYTHONHOME": "/planted"}
    names |= {"ETCD_ENDPOINTS": "planted:1", "PYTHONWARNINGS": "error"}
    host.exec(["systemctl", "set-environment", *(f"{n}={v}" for n, v in names.items())], check=True)
    try:
        yield
    finally:
        host.exec(["systemctl", "unset-environment", *names], check=True)


def environment(stacks: LabStacks, stack: str, name: str, service: str) -> dict[str, str]:
    """Return the environment of a service's own process, which its runner is the parent of."""
    runner = stacks.services(stack, name)[service]["pid"]
    host = stacks.lab.host(name)
    children = host.exec(["cat", f"/proc/{runner}/task/{runner}/children"], check=True).stdout.split()
    text = host.exec(["cat", f"/proc/{children[0]}/environ"], check=True).stdout
    return dict(entry.split("=", 1) for entry in text.split("\0") if entry)


def test_replicas_of_a_hub_model_come_and_go_in_one_up_each_whatever_hosts_are_set_to(
    stacks: LabStacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stacks.checkout.env, "PULUMI_CONFIG_PASSPHRASE", OWN)
    name, token = "organisation/gated", "hf_planted0123456789secret"
    network = stacks.lab.network
    storage = str(network.range[2])  # the hub's client takes one address for one server
    subprocess.run(["ip", "address", "replace", f"{storage}/32", "dev", network.name], check=True)
    hub = hub_server.Hub({name: hub_server.tiny_model()}, gated={name: token})
    with hub_server.serving(hub, network.gateway, storage), set_to_anything(stacks.lab.host("lab-4")):
        model = {"model": {"name": name, "source": "hub", "endpoint": hub.address}}
        stacks.write("on-scaled", {**disagg(1, 2), **model}, hosts=4, salt=OWN_SALT)
        stacks.checkout.run("pulumi", "stack", "select", "--create", "--stack", "on-scaled")
        refusal = stacks.checkout.up("on-scaled", check=False)
        assert f"{name} is gated and no token is set: ask for access" in refusal.stdout
        assert "Traceback" not in refusal.stdout
        stacks.write("on-scaled", {**disagg(1, 2), **model}, hosts=4, salt=OWN_SALT)
        set_token = (
            f"printf %s {token} | pulumi config set --stack on-scaled --secret dynamo:huggingFaceToken"
        )
        stacks.checkout.run("bash", "-c", set_token)
        assert "FAIL" not in stacks.up("on-scaled")
        assert complete(stacks.checkout.outputs("on-scaled"))["model"] == name
        decode = environment(stacks, "on-scaled", "lab-4", "decode-0")
        assert {n for n in PROXY_NAMES if n in decode} == set()
        assert not {"/planted", "planted:1", "error"}.intersection(decode.values())
        assert decode["LANG"] == "C.UTF-8"
        stacks.checkout.edit("on-scaled", lambda config: config["dynamo:roles"].update(disagg(2, 2)["roles"]))
        assert "2 of 2 prefill, 2 of 2 decode workers" in stacks.up("on-scaled", "--parallel", "1")
        downloads = [request for request in hub.requests if request.startswith("GET /storage/")]
    stacks.checkout.edit("on-scaled", lambda config: config["dynamo:roles"].update(disagg(1, 1)["roles"]))
    assert "1 of 1 prefill, 1 of 1 decode workers" in stacks.up("on-scaled")
    stacks.down("on-scaled")
    assert len(downloads) == 4, "each host once"


def test_names_and_values_that_a_shell_would_run_are_only_values(stacks: LabStacks) -> None:
    model = {"name": "tiny", "source": "generated", "servedName": HOSTILE}
    role = {"replicas": 2, "env": {"SAID": HOSTILE + " ${HOME} %n \\"}}
    shape = {"pattern": "agg", "model": model, "roles": {"aggregated": role}}
    stacks.write("on-odd", shape, hosts=2)
    assert "FAIL" not in stacks.up("on-odd")
    outputs = stacks.checkout.outputs("on-odd")
    assert complete(outputs)["model"] == HOSTILE
    runner = stacks.services("on-odd", "lab-2")["aggregated-1"]["pid"]
    children = stacks.lab.host("lab-2").exec(["cat", f"/proc/{runner}/task/{runner}/children"], check=True)
    worker = children.stdout.split()[0]
    environment = stacks.lab.host("lab-2").exec(["cat", f"/proc/{worker}/environ"], check=True).stdout
    assert f"SAID={HOSTILE} ${{HOME}} %n \\" in environment.split("\0")
    stacks.down("on-odd")
    for host in stacks.lab.hosts:
        found = host.exec(["find", "/", "-xdev", "-name", "owned", "-not", "-path", "/proc/*"]).stdout
        assert found == ""
    assert not list(stacks.checkout.path.rglob("owned"))


@pytest.fixture(scope="module")
def serving(stacks: LabStacks) -> Iterator[LabStacks]:
    """The stack `on-agg` that serves on four hosts, from here to the end of the file."""
    stacks.write("on-agg", AGG, hosts=4)
    stacks.up("on-agg")
    yield stacks
    stacks.down("on-agg")


@pytest.fixture
def worker_host(serving: LabStacks) -> Host:
    return serving.lab.host("lab-3")


def set_up_anew(stacks: LabStacks, host: str) -> None:
    """Give a host an empty disk: what a stack that could not reach it left there starts at every boot."""
    lost = stacks.lab.host(host)
    lost.kill()
    shutil.rmtree(lost.folder)
    stacks.lab.up(4)


@pytest.mark.slow
def test_a_host_that_loses_power_comes_back_by_itself(serving: LabStacks, worker_host: Host) -> None:
    worker_host.kill()
    worker_host.start()
    serves(serving, "on-agg", 4)


@pytest.mark.slow
def test_all_hosts_that_lose_power_at_once_come_back_by_themselves(serving: LabStacks) -> None:
    for host in serving.lab.hosts:
        host.kill()
    for host in reversed(serving.lab.hosts):
        host.power_on()
    for host in serving.lab.hosts:
        host.wait_until_ready()
    serves(serving, "on-agg", 4)


@pytest.mark.slow
def test_the_head_rebooted_keeps_the_workers(serving: LabStacks) -> None:
    serving.lab.host("lab-1").reboot()
    serves(serving, "on-agg", 4)


@pytest.mark.slow
def test_a_host_that_was_set_up_anew_serves_after_the_next_up(serving: LabStacks) -> None:
    set_up_anew(serving, "lab-3")
    assert "4 of 4 aggregated workers" in serving.up("on-agg")
    serves(serving, "on-agg", 4)


@pytest.mark.slow
def test_a_host_that_is_lost_for_good_is_taken_out_by_one_up(serving: LabStacks) -> None:
    lost = serving.lab.host("lab-4")
    lost.kill()
    serving.write("on-agg", {"pattern": "agg", "roles": {"aggregated": {"replicas": 3}}}, hosts=3)
    result = serving.up("on-agg")
    assert "3 of 3 aggregated workers" in result
    assert f"lab-4 ({lost.address}) does not answer" in result
    set_up_anew(serving, "lab-4")


@pytest.mark.slow
def test_destroy_ends_within_a_bound_when_a_host_is_gone(serving: LabStacks) -> None:
    lost = serving.lab.host("lab-2")
    lost.kill()
    assert f"lab-2 ({lost.address}) does not answer" in serving.down("on-agg")
    set_up_anew(serving, "lab-2")
