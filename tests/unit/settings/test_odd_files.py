"""Files that are no stack files: pipes, devices, endless nesting. Nothing hangs, and each is one error."""

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from settings.loader import read_stack_file
from settings.problems import StackFileError
from tools.toolchain.shell import script

NAME = "Pulumi.odd.yaml"


def pipe(path: Path) -> None:
    os.mkfifo(path)


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)  # in the working folder: the address is short


def with_a_hole(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


ODD: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (pipe, "Not a regular file"),
    "a socket": (bound_socket, "Not a regular file"),
    "a device that never ends": (lambda path: path.symlink_to("/dev/zero"), "Not a regular file"),
    "a device that is empty": (lambda path: path.symlink_to("/dev/null"), "Not a regular file"),
    "a folder": (lambda path: path.mkdir(), "Is a directory"),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), "no such stack file"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "symbolic links"),
    "a large file": (lambda path: path.write_text("#" * 2**20), "larger than"),
    "a file with a hole": (with_a_hole, "larger than"),
    "no text": (lambda path: path.write_bytes(b"config: \xff"), "not UTF-8"),
    "an empty file": (lambda path: path.touch(), "is empty"),
    "brackets without end": (lambda path: path.write_text("[" * 60_000), "nested too deeply"),
    "mappings without end": (lambda path: path.write_text("{a: " * 15_000), "nested too deeply"),
    "lists without end": (lambda path: path.write_text("- " * 30_000), "nested too deeply"),
    "indentation without end": (
        lambda path: path.write_text("".join(f"{' ' * level}a:\n" for level in range(330))),
        "nested too deeply",
    ),
}
"""Objects in place of a stack file, and their errors."""


@pytest.fixture(params=ODD)
def message(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put something odd where the file of the stack `odd` should be; return what is to be said of it."""
    (tmp_path / "stacks").mkdir()
    monkeypatch.chdir(tmp_path / "stacks")
    make, text = ODD[request.param]
    make(tmp_path / "stacks" / NAME)
    monkeypatch.chdir(tmp_path)
    return text


@pytest.mark.timeout(20)
def test_what_is_no_stack_file_is_one_problem(message: str) -> None:
    with pytest.raises(StackFileError, match=message) as refused:
        read_stack_file(Path("stacks", NAME))
    assert len(refused.value.problems) == 1


@pytest.mark.timeout(20)
def test_a_shell_is_set_up_whatever_lies_in_the_place_of_the_stack_file(
    message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, folder in (("PROJECT", ""), ("STATE", ".state"), ("TOOLCHAIN", ".toolchain"), ("POLICY", "p")):
        monkeypatch.setattr(f"tools.toolchain.shell.{name}", tmp_path / folder)
    lines = script({"HOME": str(tmp_path), "PATH": "/bin"}, "odd")
    assert "export PULUMI_BACKEND_URL=file://" in lines
    assert message
