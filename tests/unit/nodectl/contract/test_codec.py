"""The codec of the contract: what it refuses, by path, and that a value comes back as it was."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest

from nodectl.common.errors import BadInputError
from nodectl.contract import codec
from nodectl.contract.codec import SPARSE
from nodectl.contract.forms import HostPort, Positive

TOKEN = "hf_abcdefghijklmnopqrstuvwx"


@dataclass(frozen=True, kw_only=True)
class Cat:
    kind: Literal["cat"] = "cat"
    lives: int = 9


@dataclass(frozen=True, kw_only=True)
class Dog:
    kind: Literal["dog"] = "dog"
    name: str


@dataclass(frozen=True, kw_only=True)
class House:
    at: HostPort
    rooms: Positive
    warm: bool = False
    share: float | None = None
    pet: Cat | Dog = Cat()
    guests: list[str] = field(default_factory=list)
    flags: dict[str, bool | int | float | str | list[object] | dict[str, object]] = field(
        default_factory=dict
    )
    garden: Dog | None = field(default=None, metadata=SPARSE)


HOUSE: dict[str, Any] = {"at": "a:1", "rooms": 2}


def problems(content: Any) -> list[str]:
    with pytest.raises(BadInputError) as refused:
        codec.decode(House, content, "a house")
    assert refused.value.code == 2
    first, *lines = str(refused.value).splitlines()
    assert first == "standard input is not a house:"
    return [line.strip() for line in lines]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], "all of it: expected a JSON object, got list"),
        (HOUSE | {"romos": 1}, "romos: unknown key"),
        ({"at": "a:1"}, "rooms: missing"),
        (HOUSE | {"rooms": "2"}, "rooms: expected a whole number"),
        (HOUSE | {"rooms": 2.0}, "rooms: expected a whole number"),
        (HOUSE | {"rooms": True}, "rooms: expected a whole number"),
        (HOUSE | {"rooms": None}, "rooms: expected a whole number"),
        (HOUSE | {"rooms": 0}, "rooms: expected at least 1"),
        (HOUSE | {"at": 1}, "at: expected text"),
        (HOUSE | {"at": "a"}, "at: expected host:port"),
        (HOUSE | {"at": "a:1\n"}, "at: expected host:port"),
        (HOUSE | {"warm": 1}, "warm: expected true or false"),
        (HOUSE | {"warm": None}, "warm: expected true or false"),
        (HOUSE | {"share": "half"}, "share: expected a number"),
        (HOUSE | {"pet": {"lives": 7}}, "pet.kind: none is unknown; use one of cat, dog"),
        (HOUSE | {"pet": {"kind": "cow"}}, 'pet.kind: "cow" is unknown; use one of cat, dog'),
        (HOUSE | {"pet": {"kind": "dog"}}, "pet.name: missing"),
        (HOUSE | {"pet": {"kind": "cat", "name": "x"}}, "pet.name: unknown key"),
        (HOUSE | {"guests": "me"}, "guests: expected a list"),
        (HOUSE | {"guests": ["me", 1]}, "guests.1: expected text"),
        (HOUSE | {"guests": ["\ud800"]}, "guests.0: expected text"),
        (HOUSE | {"flags": []}, "flags: expected a JSON object, got list"),
        (HOUSE | {"flags": {"a": None}}, "flags.a: expected true, false, a number, text, a list or"),
        (HOUSE | {"garden": {"name": "x", "paws": 4}}, "garden.paws: unknown key"),
    ],
)
def test_what_is_wrong_is_told_by_its_path(content: Any, told: str) -> None:
    (problem,) = problems(content)
    assert problem.startswith(told)


def test_all_that_is_wrong_is_told_at_once_and_no_value_is_repeated() -> None:
    wrong = {TOKEN: TOKEN, "at": TOKEN, "rooms": TOKEN, "pet": {"kind": TOKEN}, "flags": {TOKEN: None}}
    told = problems(wrong)
    assert [line.partition(":")[0] for line in told] == ["…", "at", "rooms", "pet.kind", "flags.…"]
    assert TOKEN not in "\n".join(told)


def test_what_is_no_json_is_told_with_where_it_comes_from() -> None:
    nested = f'{{"at": "a:1", "rooms": 1, "flags": {{"x": {"[" * 99}{"]" * 99}}}}}'
    for text in ("", "{", "[" * 100_000, '{"rooms": NaN}'):
        with pytest.raises(BadInputError, match=r"^/house: expected a house as JSON: "):
            codec.read(House, text, "a house", "/house")
    with pytest.raises(BadInputError, match=r"^/house is not a house:\n  flags\.x: expected "):
        codec.read(House, nested, "a house", "/house")


def test_a_value_comes_back_as_it_was_and_sparse_fields_are_written_only_where_they_say_something() -> None:
    house = House(at="a:1", rooms=2, share=0.5, pet=Dog(name="é"), flags={"a": [1, None, {"b": 1e-7}]})
    text = codec.written(house)
    assert text.startswith('{"at":"a:1","rooms":2,"warm":false,"share":0.5,"pet":{"kind":"dog","name":"é"},')
    assert "garden" not in text
    assert codec.read(House, text, "a house") == house
    kept = replace(house, garden=Dog(name="x"))
    assert codec.read(House, codec.written(kept, indent=1), "a house") == kept


def test_nothing_is_written_that_the_other_side_would_refuse() -> None:
    with pytest.raises(ValueError, match=r"^House: rooms: expected at least 1; guests: expected a list$"):
        codec.written(House(at="a:1", rooms=0, guests="me"))  # type: ignore[arg-type]
