"""The frontend's list of workers is compared to the plan."""

from nodectl.dynamo.registry import Listed, compare
from tests.proof_specs import NAMESPACE, worker


def listed(
    id_: int, node: int, component: str = "backend", *, port: int = 9401, namespace: str = NAMESPACE
) -> Listed:
    return Listed(id_, f"127.0.0.{node}:{port}", namespace, component)


PLAN = [
    worker(service, node, f"127.0.0.{node}")
    for node, service in enumerate(("prefill-0", "decode-0", "decode-1"), start=1)
]
ALL = [listed(10, 1, "prefill"), listed(20, 2), listed(30, 3)]


def test_a_complete_list_gives_every_worker_its_id() -> None:
    registry = compare(PLAN, NAMESPACE, ALL)
    assert registry.ids == {"prefill-0": 10, "decode-0": 20, "decode-1": 30}
    assert str(registry) == "1 of 1 prefill, 2 of 2 decode workers"


def test_a_missing_worker_is_named_with_its_node_and_address() -> None:
    registry = compare(PLAN, NAMESPACE, ALL[:2])
    assert [instance.service for instance in registry.missing] == ["decode-1"]
    assert str(registry) == (
        "1 of 1 prefill, 1 of 2 decode workers; waiting for decode-1 on node-3 (127.0.0.3:9401)"
    )


def test_ids_of_earlier_lives_count_once_and_the_newest_is_the_one_to_ask() -> None:
    registry = compare(PLAN, NAMESPACE, [*ALL, listed(21, 2), listed(19, 2)])
    assert registry.ids["decode-0"] == 21
    assert str(registry) == "1 of 1 prefill, 2 of 2 decode workers"


def test_workers_outside_the_plan_are_leaving_and_not_missing() -> None:
    left = [listed(40, 9), listed(41, 9), listed(50, 3, port=9411)]
    registry = compare(PLAN, NAMESPACE, [*ALL, *left])
    assert not registry.missing
    assert str(registry) == ("1 of 1 prefill, 2 of 2 decode workers; leaving: 127.0.0.3:9411, 127.0.0.9:9401")


def test_a_worker_of_another_generation_or_role_does_not_count_and_is_shown_as_it_is() -> None:
    wrong = [listed(10, 1), listed(20, 2, namespace="dynamo-g0"), ALL[2]]
    registry = compare(PLAN, NAMESPACE, wrong)
    assert registry.ids == {"decode-1": 30}
    assert str(registry) == (
        "0 of 1 prefill, 1 of 2 decode workers; waiting for "
        "prefill-0 on node-1 (127.0.0.1:9401), listed as dynamo-g1/backend instead of dynamo-g1/prefill, "
        "decode-0 on node-2 (127.0.0.2:9401), listed as dynamo-g0/backend instead of dynamo-g1/backend"
    )
