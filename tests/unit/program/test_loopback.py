"""Addresses of local nodes: apart from others, kept, counted up."""

import ipaddress
import socket
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from program.loopback import PortsTakenError, addresses, candidates, first_address, keep


@given(st.integers(min_value=1, max_value=2000), st.text(max_size=20))
def test_every_node_has_a_loopback_address_of_its_own(count: int, stack: str) -> None:
    first = next(candidates(Path("/project"), stack))
    found = addresses(first, [f"node-{n}" for n in range(count)])
    assert found["node-0"] == first
    assert len(set(found.values())) == count
    assert all(ipaddress.IPv4Address(address).is_loopback for address in found.values())


def test_the_last_candidate_leaves_room_for_hundreds_of_nodes() -> None:
    highest = max(candidates(Path("/project"), "stack"), key=ipaddress.IPv4Address)
    last = list(addresses(highest, [f"node-{n}" for n in range(2000)]).values())[-1]
    assert ipaddress.IPv4Address(last).is_loopback


def test_stacks_and_project_folders_start_from_different_addresses() -> None:
    starts = {next(candidates(Path(p), s)) for p in ("/one", "/two") for s in ("local", "local-disagg")}
    assert len(starts) == 4


def test_a_taken_port_moves_the_stack_to_another_address(tmp_path: Path) -> None:
    wanted, second = islice(candidates(tmp_path, "local"), 2)
    with socket.socket() as other:
        other.bind((wanted, 0))
        other.listen()
        port = other.getsockname()[1]
        assert first_address(tmp_path, "local", tmp_path / "run", [port]) == second


def test_a_kept_address_stays_although_its_ports_are_now_taken_by_the_stack_itself(tmp_path: Path) -> None:
    with socket.socket() as own:
        address = next(candidates(tmp_path, "local"))
        own.bind((address, 0))
        own.listen()
        keep(tmp_path / "run", address)
        port = own.getsockname()[1]
        assert first_address(tmp_path, "local", tmp_path / "run", [port]) == address


def test_a_port_taken_on_every_address_is_named(tmp_path: Path) -> None:
    with socket.socket() as everywhere:
        everywhere.bind(("0.0.0.0", 0))
        everywhere.listen()
        port = everywhere.getsockname()[1]
        with pytest.raises(PortsTakenError, match=rf"{port} .*0\.0\.0\.0"):
            first_address(tmp_path, "local", tmp_path / "run", [port])
