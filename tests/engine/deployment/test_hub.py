"""A model from a hub on loopback, by the hub's own client, from a shell that is set to whatever there is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.engine.deployment.checkout import Checkout, complete
from tests.hub_server import Hub, serving, tiny_model
from tests.proxy_server import Proxy, forwarding
from tests.shells import hostile

STACK = "from-hub"
MODEL = "organisation/gated"
TOKEN = "hf_planted0123456789secret"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """A hub with one model, which one token opens."""
    with serving(Hub({MODEL: tiny_model()}, gated={MODEL: TOKEN})) as found:
        yield found


@pytest.fixture(scope="module")
def stack(checkout: Checkout, hub: Hub) -> Iterator[str]:
    """A stack of that model; not up yet, and without a token."""
    checkout.copy_stack("local", STACK)
    model = {"name": MODEL, "source": "hub", "endpoint": hub.address}
    checkout.edit(STACK, lambda config: config.update({"dynamo:model": model}))
    checkout.run("pulumi", "stack", "select", "--create", "--stack", STACK)
    cache, users = checkout.path / "cache", Path.home() / ".cache" / "dynamo-multinode"
    (cache / users.name).mkdir(parents=True)
    for name in ("env", "pulumi", "uv"):  # all else is as on a new machine
        (cache / users.name / name).symlink_to(users / name)
    with checkout.shell(XDG_CACHE_HOME=str(cache)):
        yield STACK
        checkout.run("scripts/down", STACK)


def set_token(checkout: Checkout, stack: str, token: str) -> None:
    command = f"printf %s {token} | pulumi config set --stack {stack} --secret dynamo:huggingFaceToken"
    checkout.run("bash", "-c", command)


def refusal(checkout: Checkout, stack: str) -> str:
    """Return the line about the model that an `up` fails with: one, each time that it is said."""
    completed = checkout.up(stack, check=False)
    printed = completed.stdout + completed.stderr
    assert completed.returncode != 0
    assert "Traceback" not in printed
    marked = (line.partition("nodectl install: ")[2] for line in printed.splitlines())
    message = {line for line in marked if line}
    assert len(message) == 1, printed
    return message.pop()


def test_a_gated_model_without_access_ends_in_one_clear_line(
    checkout: Checkout, hub: Hub, stack: str
) -> None:
    assert f"{MODEL} is gated and no token is set: ask for access at {hub.address}/{MODEL}" in refusal(
        checkout, stack
    )
    set_token(checkout, stack, "hf_of0somebody0who0has0no0access0")
    message = refusal(checkout, stack)
    assert f"{MODEL}: the hub refuses this token (403); ask for access at {hub.address}/{MODEL}" in message
    assert "`scripts/secret STACK huggingFaceToken`" in message


def environments(processes: list[psutil.Process]) -> list[dict[str, str]]:
    return [process.environ() for process in processes]


def test_a_hub_model_is_proved_and_the_shell_has_no_say_in_it(
    checkout: Checkout, hub: Hub, stack: str, tmp_path: Path
) -> None:
    set_token(checkout, stack, TOKEN)
    with forwarding(Proxy()) as proxy, checkout.shell(**hostile(tmp_path, proxy.address)):
        printed = checkout.run("scripts/up", stack).stdout
    assert "FAIL" not in printed
    # Pulumi asks its own site, from the operator's machine and so by the operator's proxy
    assert [request for request in proxy.requests if "pulumi.com" not in request] == []
    outputs = checkout.outputs(stack)
    assert outputs["proof"]["ok"]
    assert complete(outputs)["model"] == MODEL
    downloads = [request for request in hub.requests if request.startswith("GET /storage/")]
    assert len(downloads) == 1, "nodes of one machine share what one of them downloaded"
    services = checkout.processes()
    assert len(services) >= 6
    planted = set(hostile(tmp_path, proxy.address).values())
    for process in services:
        found = process.environ()
        assert not planted.intersection(found.values())
        assert found["LANG"] == "C.UTF-8"
        assert TOKEN not in found.values() or found["HF_TOKEN"] == TOKEN
    checkout.unchanged(stack)


def test_a_no_op_up_from_another_shell_changes_nothing(checkout: Checkout, stack: str) -> None:
    before = checkout.pids(stack)
    with checkout.shell(http_proxy="http://127.0.0.1:9", PYTHONPATH="/nowhere", LANG="de_DE"):
        completed: Any = checkout.up(stack)
    assert json.dumps(checkout.pids(stack)) == json.dumps(before)
    assert "unchanged" in completed.stdout
    assert "NO_PROXY" in completed.stdout + completed.stderr
