"""Every plan that is accepted comes up: generated stack files, each brought up to its proof and destroyed.

GENERATED_STACKS=200 in the environment takes more of them than the thirty that every run has.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Final

import pytest
import yaml

from nodectl.common.layout import Layout
from nodectl.verbs.remove import remove
from tests.engine.deployment.checkout import Checkout
from tests.engine.deployment.generated_stacks import accepted
from tools.toolchain.shell import SALT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STACKS: Final = list(islice(accepted(), int(os.environ.get("GENERATED_STACKS", "30"))))


@pytest.fixture
def taken_down(checkout: Checkout) -> Iterator[Checkout]:
    """The checkout; nodes of the test's stack go without Pulumi, whose thirty downs would take minutes."""
    yield checkout
    with ThreadPoolExecutor() as pool:
        list(pool.map(remove, map(Layout.at, (checkout.path / ".run").glob("generated-*/node-*/"))))


@pytest.mark.parametrize(("number", "config"), STACKS, ids=[number for number, _ in STACKS])
def test_what_plan_accepts_comes_up(taken_down: Checkout, number: int, config: dict[str, Any]) -> None:
    stack = f"generated-{number}"
    document = {"encryptionsalt": SALT, "config": {f"dynamo:{key}": value for key, value in config.items()}}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    (taken_down.path / f"stacks/Pulumi.{stack}.yaml").write_text(text, encoding="utf-8")
    taken_down.run("pulumi", "stack", "init", stack, "--no-select")
    completed = taken_down.up(stack, check=False)
    assert completed.returncode == 0, f"{text}\n{completed.stdout[-4000:]}\n{completed.stderr[-2000:]}"
