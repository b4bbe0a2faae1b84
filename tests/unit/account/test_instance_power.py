"""Instances are stopped and started where they can be, and waited for, with progress and a bound."""

from dataclasses import replace

import pytest

from account.identity import Identity
from account.instance_power import Power, PowerError
from account.login import Login
from account.responses import Bought, Instance
from tests.unit.account_examples import REGION, client, instance, launch

pytest_plugins = ["tests.unit.moto_account"]
pytestmark = pytest.mark.usefixtures("no_account", "at_once")


def states(ids: list[str]) -> set[str]:
    groups = client("ec2").describe_instances(InstanceIds=ids)["Reservations"]
    return {instance["State"]["Name"] for group in groups for instance in group["Instances"]}


def quiet(login: Login = Login(REGION)) -> Power:  # noqa: B008 - a frozen value
    return Power.of(login, lambda line: None)


def test_instances_stop_and_start_and_only_those_that_have_to(account: str) -> None:
    ids = launch(2)
    assert sorted(quiet().stop(ids)) == sorted(ids)
    assert states(ids) == {"stopped"}
    assert quiet().stop(ids) == []
    client("ec2").start_instances(InstanceIds=ids[:1])
    assert quiet().start(ids) == ids[1:]
    assert states(ids) == {"running"}
    assert quiet().start(ids) == []


def test_instances_that_are_gone_are_not_there(account: str) -> None:
    gone, stays = launch(2)
    client("ec2").terminate_instances(InstanceIds=[gone])
    assert set(quiet().there([gone, stays])) == {stays}
    assert quiet().there([]) == {}


def test_nothing_is_stopped_where_one_instance_cannot_be(
    account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = launch(2)

    def one_is(bought: Bought) -> None:
        def there(self: Power, asked: object) -> dict[str, Instance]:
            first, second = (instance(number, id=name) for number, name in enumerate(ids, 1))
            return {first.id: first, second.id: replace(second, bought=bought)}

        monkeypatch.setattr(Power, "there", there)

    one_is("spot")
    with pytest.raises(PowerError, match="node-2: a one-time spot instance cannot be stopped"):
        quiet().stop(ids)
    one_is("capacity-block")
    with pytest.raises(PowerError, match="node-2: a capacity block is paid for to its end"):
        quiet().stop(ids)
    assert states(ids) == {"running"}


def test_waiting_says_how_far_it_is_once_and_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    messages: list[str] = []
    first, second = instance(1, state="stopped"), instance(2, state="stopping")
    monkeypatch.setattr(Power, "there", lambda self, ids: {first.id: first, second.id: second})
    patient = Power(client("ec2"), messages.append)
    with pytest.raises(PowerError, match="node-2: not stopped after 0 s; run it again"):
        patient._until([first.id, second.id], "stopped", 0.1)
    assert messages == ["1 of 2 stopped; waiting for node-2"]


def test_what_ec2_refuses_is_said_in_its_words(account: str) -> None:
    (gone,) = launch(1)
    client("ec2").terminate_instances(InstanceIds=[gone])
    with pytest.raises(PowerError, match=f"{gone}: gone"):
        quiet()._until([gone], "running", 1)


def test_without_credentials_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(PowerError, match="no AWS credentials"):
        quiet()
    with pytest.raises(PowerError, match="missing"):
        quiet(Login(REGION, Identity(profile="missing")))


def test_an_account_that_cannot_be_reached_is_said() -> None:
    with pytest.raises(PowerError, match="Could not connect"):
        quiet().there(["i-0123456789abcdef0"])
