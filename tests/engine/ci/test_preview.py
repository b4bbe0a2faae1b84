"""`scripts/ci-preview` on this machine's stacks, as a pipeline would call it."""

from collections.abc import Iterator

import pytest

from tests.engine.deployment.checkout import Checkout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = Checkout.make(tmp_path_factory.mktemp("checkout"))
    yield made
    for stack in ("local", "local-disagg"):
        made.run(
            "pulumi", "stack", "rm", "--yes", "--force", "--preserve-config", "--stack", stack, check=False
        )


def test_two_stacks_are_two_sections_of_one_comment(checkout: Checkout) -> None:
    printed = checkout.run("scripts/ci-preview", "local", "local-disagg").stdout
    assert printed.startswith("<!-- dynamo-multinode preview -->\n### `local`: 5 to create\n")
    assert "### `local-disagg`: " in printed
    assert "node-1  nats 4222 · etcd 2379 · frontend 8000 · aggregated-0" in printed
    assert "| create | `node-1-apply` | `Command` |  |" in printed
    assert "toolchain" not in printed


def test_a_wrong_stack_file_is_said_with_its_own_status(checkout: Checkout) -> None:
    path = checkout.path / "stacks/Pulumi.wrong.yaml"
    text = (checkout.path / "stacks/Pulumi.local.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("pattern: agg", "pattern: ag"), encoding="utf-8")
    completed = checkout.run("scripts/ci-preview", "wrong", "local", check=False)
    assert completed.returncode == 2
    assert "### `wrong`: the stack file is wrong" in completed.stdout
    assert "pattern" in completed.stdout
    assert "### `local`: 5 to create" in completed.stdout


def test_a_preview_that_fails_says_why(checkout: Checkout) -> None:
    program = checkout.path / "program/configuration.py"
    text = program.read_text(encoding="utf-8")
    program.write_text(f"{text}\nraise RuntimeError('out of order')\n", encoding="utf-8")
    completed = checkout.run("scripts/ci-preview", "local", check=False)
    program.write_text(text, encoding="utf-8")
    assert completed.returncode == 1
    assert "### `local`: would not be brought up" in completed.stdout
    assert "out of order" in completed.stdout
