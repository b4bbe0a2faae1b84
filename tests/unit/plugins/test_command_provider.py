"""The offline command provider's property maps, globs and output."""

import asyncio
import os
from pathlib import Path

import pytest

from plugins.command import files, local, wire
from plugins.command.output import OperationError, Output, previous_output
from plugins.command.resources import RESOURCES
from plugins.command.wire import ARCHIVE, ASSET, SIGNATURE, UNKNOWN


async def ignore(_line: str) -> None:
    """Show a line to nobody."""


@pytest.mark.parametrize(
    ("glob", "matches", "misses"),
    [
        ("*.txt", ["a.txt", ".txt"], ["sub/a.txt", "a.txt.gz", "aXtxt"]),
        ("sub/**", ["sub/a", "sub/deep/a"], ["sub", "other/sub/a"]),
        ("**.js", ["a.js", "src/a.js"], ["a.ts"]),
        ("?.md", ["a.md"], ["ab.md", "/.md"]),
        ("[a-c].md", ["b.md"], ["d.md"]),
        ("[!a-c].md", ["d.md"], ["b.md"]),
        ("{a,b*}.md", ["a.md", "bcd.md"], ["c.md", "{a,b}.md"]),
        ("a,b", ["a,b"], ["a", "b"]),
        (r"\*", ["*"], ["a", r"\*"]),
        ("a+(b)", ["a+(b)"], ["aab"]),
    ],
)
def test_a_glob_matches_as_documented(glob: str, matches: list[str], misses: list[str]) -> None:
    pattern = files.glob_pattern(glob)
    assert [path for path in matches + misses if pattern.fullmatch(path)] == matches


def test_the_last_glob_that_matches_decides(tmp_path: Path) -> None:
    for name in ("keep.txt", "secret.txt", "sub/secret.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = files.matching_files(str(tmp_path), ["**", "!**secret*", "sub/*"])
    assert found == ["keep.txt", "sub/secret.txt"]


def test_properties_keep_their_value_over_the_wire() -> None:
    properties = {"text": "é\n", "none": None, "list": [1.5, True, {"deep": []}], "unknown": UNKNOWN}
    assert wire.read(wire.write(properties)) == properties


def test_a_difference_is_named_by_its_top_property() -> None:
    old = wire.write({"same": {"a": 1}, "gone": "x", "deep": {"list": [1, 2]}})
    new = wire.write({"same": {"a": 1}, "new": None, "deep": {"list": [1, 3]}})
    assert wire.changed(old, new) == ["deep", "gone", "new"]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (UNKNOWN, None),
        ({SIGNATURE: ASSET, "path": "a"}, None),
        ({SIGNATURE: ASSET, "text": ""}, None),
        ({SIGNATURE: ASSET, "uri": "https://a"}, "path-based file asset or a text asset"),
        ({SIGNATURE: ARCHIVE, "path": "a"}, None),
        ({SIGNATURE: ARCHIVE, "assets": {}}, "path to a file or directory"),
        ({SIGNATURE: ARCHIVE, "uri": "https://a"}, "path to a file or directory"),
        ({}, "either asset or archive must be set"),
    ],
)
def test_a_copy_takes_files_texts_and_paths_of_archives(source: object, problem: str | None) -> None:
    found = RESOURCES["command:remote:CopyToRemote"].check({"source": source})
    assert (found == {}) if problem is None else (problem in found["source"])


def test_previous_output_is_handed_on_unless_empty_or_unwanted() -> None:
    printed = {"stdout": "out", "stderr": ""}
    assert previous_output({}, printed) == {"PULUMI_COMMAND_STDOUT": "out"}
    assert previous_output({"addPreviousOutputInEnv": False}, printed) == {}


def test_a_preview_knows_the_inputs_and_none_of_the_outputs() -> None:
    inputs = {"create": "true", "assetPaths": ["*"]}
    unknown = {"stdout": UNKNOWN, "stderr": UNKNOWN, "assets": UNKNOWN}
    assert RESOURCES["command:local:Command"].preview(inputs) == inputs | unknown


def test_lines_are_shown_whole_however_they_arrive() -> None:
    shown: list[str] = []

    async def show(line: str) -> None:
        shown.append(line)

    async def scenario() -> None:
        class Process:
            stdout = asyncio.StreamReader()
            stderr = asyncio.StreamReader()

        following = asyncio.create_task(Output("x", {}, show).follow(Process))
        for part in (b"on", b"e\r\ntw", b"o\n\nlast"):
            Process.stdout.feed_data(part)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        Process.stdout.feed_eof()
        Process.stderr.feed_eof()
        await following

    asyncio.run(scenario())
    assert shown == ["one", "two", "", "last"]


def test_output_that_is_no_text_does_not_fail_a_command() -> None:
    result = asyncio.run(local.run(r"printf 'a\377b'", {}, {}, ignore))
    assert result == {"stdout": "a\ufffdb", "stderr": ""}


def test_a_command_that_cannot_start_says_what_and_why() -> None:
    with pytest.raises(OperationError, match=r"'/nonexistent'.*running \"true\""):
        asyncio.run(local.run("true", {"interpreter": ["/nonexistent"]}, {}, ignore))


def test_cancelling_ends_even_what_ignores_a_polite_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_GRACE", 0.1)
    os.mkfifo(tmp_path / "alive")
    command = f"trap '' TERM; exec 3> {tmp_path}/alive; sleep 1000 & while :; do wait; done"

    async def scenario() -> bytes:
        task = asyncio.create_task(local.run(command, {}, {}, ignore))
        # Opened once both processes can write to it, at its end once neither can.
        with await asyncio.to_thread(open, tmp_path / "alive", "rb") as alive:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await asyncio.to_thread(alive.read)

    assert asyncio.run(asyncio.wait_for(scenario(), 30)) == b""
