"""A secret anywhere in a stack file: no part of it is in what `scripts/plan` prints.

Every key of every section is in one of them; a secret is planted as every value, in place of every key,
beside them, as the repeated key of a mapping, and as a value of the wrong type.
"""

import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from settings.loader import from_config
from settings.problems import StackFileError
from settings.schema import properties, settings_schema
from tests.unit.complete_files import FILES, Tree, edited, paths
from tests.unit.operations.steps import run
from tests.unit.secret_shapes import SECRETS, Planted


class _Twice(str):
    """A key that is written a second time: no two of it are equal."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


class _Raw(str):
    """A value that is written without quotes."""

    __slots__ = ()


def _replaced(value: Callable[[str], Any]) -> Callable[[Tree, Any, str], Tree]:
    def edit(parent: Tree, key: Any, secret: str) -> Tree:
        changed = dict(parent) if isinstance(parent, dict) else list(parent)
        changed[key] = value(secret)
        return changed

    return edit


def _renamed(parent: Tree, key: Any, secret: str) -> Tree:
    if not isinstance(parent, dict):
        return [*parent, secret]
    return {secret if name == key else name: value for name, value in parent.items()}


def _repeated(parent: Tree, key: Any, secret: str) -> Tree:
    if not isinstance(parent, dict):
        return [*parent, [secret]]
    return {**parent, _Twice(secret): 1, _Twice(secret): 2}


PLACES: Final[Mapping[str, Callable[[Tree, Any, str], Tree]]] = {
    "the value": _replaced(lambda secret: secret),
    "in a list": _replaced(lambda secret: [secret]),
    "in a mapping": _replaced(lambda secret: {"a": secret}),
    "a key of a mapping": _replaced(lambda secret: {secret: 1}),
    "encrypted in clear": _replaced(lambda secret: {"secure": secret}),
    "without quotes": _replaced(_Raw),
    "a tag": _replaced(lambda secret: _Raw(f"!{''.join(secret.split())} x")),
    "a tag's handle": _replaced(lambda secret: _Raw(f"!{''.join(secret.split())}!x y")),
    "an anchor": _replaced(lambda secret: _Raw(f"&{''.join(secret.split())} x")),
    "an alias": _replaced(lambda secret: _Raw(f"*{''.join(secret.split())}")),
    "the key": _renamed,
    "a key twice": _repeated,
}


def _written(tree: Tree) -> str:
    """Return YAML: JSON, but for the repeated keys that Python's cannot have."""
    if isinstance(tree, dict):
        return (
            "{" + ", ".join(f"{json.dumps(str(key))}: {_written(value)}" for key, value in tree.items()) + "}"
        )
    if isinstance(tree, list):
        return "[" + ", ".join(map(_written, tree)) + "]"
    return tree if isinstance(tree, _Raw) else json.dumps(tree)


Planning = Callable[[str], tuple[int, str]]


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Planning:
    """Return what plans a stack file's text, and returns the exit status and all that was printed."""
    (tmp_path / "stacks").mkdir()
    monkeypatch.chdir(tmp_path)

    def plan(text: str) -> tuple[int, str]:
        Path("stacks", "Pulumi.planted.yaml").write_text(text, encoding="utf-8")
        status = run("plan", "planted")
        return status, "".join(capsys.readouterr())

    return plan


def test_the_files_name_every_key_of_a_stack_file() -> None:
    """A new key belongs into `complete_files.py`, and one of text into tests/unit/settings/test_forms.py."""
    sections = [settings_schema(), *settings_schema()["$defs"].values()]
    there = {
        str(key).removeprefix("dynamo:") for file in FILES.values() for path in paths(file) for key in path
    }
    expected = {key for section in sections for key in properties(section)} - {"huggingFaceToken"}
    assert expected - there == set()


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_right_as_they_are(name: str, planned: Planning) -> None:
    assert planned(_written(FILES[name]))[0] == 0


def _leaks(secret: Planted, status: int, printed: str) -> bool:
    """Return whether a part of the secret was printed.

    A plan that is right shows names as they are, whatever they look like; what surely is a secret is refused.
    """
    return (status != 0 or secret.known) and any(part in printed for part in secret.parts)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", FILES)
def test_a_secret_is_printed_from_nowhere_in_a_stack_file(name: str, place: str, planned: Planning) -> None:
    """Each place has another secret of the list, and every second way of planting is tried at each."""
    secrets = itertools.cycle(SECRETS.values())
    leaks = []
    for path in itertools.islice(paths(FILES[name]), list(PLACES).index(place) % 2, None, 2):
        secret = next(secrets)
        tree = edited(FILES[name], path, lambda parent, key: PLACES[place](parent, key, secret.text))  # noqa: B023
        status, printed = planned(_written(tree))
        if _leaks(secret, status, printed):
            leaks.append((path, secret.text, printed))
    assert leaks == []


def _as_pulumi_hands_it_on(tree: Tree) -> dict[str, str]:
    """Return the configuration of the running stack: structures as JSON, all else as text."""
    config = tree.get("config") if isinstance(tree, dict) else None
    if not isinstance(config, dict):
        return {}
    return {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}


@pytest.mark.parametrize("place", ["the value", "in a list", "in a mapping", "a key of a mapping", "the key"])
@pytest.mark.parametrize("name", FILES)
def test_a_secret_is_in_no_error_of_a_running_stack(name: str, place: str) -> None:
    secrets = itertools.cycle([*SECRETS.values()][::-1])
    leaks = []
    for path in itertools.islice(paths(FILES[name]), len(place) % 2, None, 2):
        secret = next(secrets)
        tree = edited(FILES[name], path, lambda parent, key: PLACES[place](parent, key, secret.text))  # noqa: B023
        try:
            from_config(_as_pulumi_hands_it_on(tree), [])
        except StackFileError as error:
            if any(part in str(error) for part in secret.parts):
                leaks.append((path, secret.text, str(error)))
    assert leaks == []


@pytest.mark.parametrize("key", ["aws:secretKey", "aws:token", "aws:accessKey", "vault:password"])
def test_a_providers_secret_in_clear_is_refused_and_not_shown(key: str, planned: Planning) -> None:
    file = {"config": {**FILES["aws"]["config"], key: "kitchen"}}
    status, printed = planned(_written(file))
    assert status == 2
    assert f"{key}  must be encrypted by `pulumi config set --secret {key}`" in printed
    assert "kitchen" not in printed
    assert planned(_written({"config": {**FILES["aws"]["config"], key: {"secure": "v1:a:b"}}}))[0] == 0
    with pytest.raises(StackFileError, match="must be encrypted"):
        from_config(_as_pulumi_hands_it_on(file), [])
    from_config(_as_pulumi_hands_it_on(file), [key])


def test_a_providers_other_keys_are_let_pass(planned: Planning) -> None:
    others = {
        "aws:profile": "team",
        "aws:skipCredentialsValidation": "true",
        "aws:sharedCredentialsFiles": ["~/.aws/credentials"],
    }
    assert planned(_written({"config": {**FILES["aws"]["config"], **others}}))[0] == 0


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_in_place_of_a_stacks_name_is_not_shown(
    secret: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("plan", secret.text) == 2
    printed = "".join(capsys.readouterr())
    assert [part for part in secret.parts if part in printed] == []
