"""Every script and every module that is run: what it takes, and one line and exit code 2 for all else."""

import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from operations import cli
from operations.verbs import up

PROJECT = Path(__file__).parents[3]
LISTED = subprocess.run(
    ["git", "ls-files", "--stage", "--cached"], cwd=PROJECT, check=True, capture_output=True, text=True
).stdout
TRACKED = {line.split("\t")[1]: line.split()[0] for line in LISTED.splitlines()}

SCRIPTS: Mapping[str, tuple[Sequence[str], int | None]] = {
    "access": (["disagg"], 1),
    "bootstrap": ([], 0),
    "completion": ([], 0),
    "ci-preview": (["local"], None),
    "down": ([], 1),
    "env": ([], 1),
    "generate-catalogue": ([], 0),
    "generate-flags": ([], 0),
    "generate-prices": ([], None),
    "init": (["disagg", "--backend", "s3://b", "--secrets-provider", "awskms://k"], 5),
    "lab": (["up", "2"], 2),
    "node": (["local", "node-1", "status"], None),
    "pause": (["disagg"], 1),
    "plan": ([], 1),
    "prove": ([], 1),
    "rehearse": (["disagg"], 1),
    "replace": (["disagg", "node-2"], 2),
    "secret": (["disagg", "huggingFaceToken"], 2),
    "test": ([], None),
    "up": ([], 1),
}
"""Script -> the shortest command line that it takes, and how many words it takes at most; None: any."""

OPERATIONS = sorted(cli.VERBS)
"""Scripts that hand their command line to the verb of operations of their name."""

SHELL = sorted(SCRIPTS.keys() - {*OPERATIONS, "lab"})
"""Scripts that look at their command line themselves. The module behind `lab` is among those below."""

SECRET = "hf_planted0123456789"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts alone, in a project whose programs only write down that they were called."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(PROJECT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for program in (".venv/bin/python", ".toolchain/bin/pulumi", ".toolchain/bin/uv"):
        path = folder / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#!/bin/sh\n[ "$1" = -c ] && echo "$0" || echo "$*" >>called\n')
        path.chmod(0o755)
    return folder


def run(clone: Path, script: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], bool]:
    """Run a script from another folder; return what it did, and whether it called any program."""
    called = clone / "called"
    called.unlink(missing_ok=True)
    completed = subprocess.run(
        [clone / "scripts" / script, *arguments],
        cwd=clone.parent,
        env={"PATH": "/usr/bin:/bin", "HOME": str(clone)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return completed, called.exists()


def refused(clone: Path, script: str, *arguments: str) -> str:
    """Run a script with what it does not take; return the one line that it says."""
    completed, called = run(clone, script, *arguments)
    assert (completed.returncode, called) == (2, False), completed.stdout + completed.stderr
    assert completed.stdout == ("false\n" if script == "env" else ""), "an eval of nothing would go on"
    [line] = completed.stderr.splitlines()
    assert line.startswith(f"scripts/{script}")
    return line


def test_every_script_is_in_the_table() -> None:
    scripts = {name.removeprefix("scripts/") for name, mode in TRACKED.items() if mode == "100755"}
    assert {name for name in scripts if "/" not in name} == set(SCRIPTS)


@pytest.mark.parametrize("script", SHELL)
def test_a_script_says_what_it_takes(clone: Path, script: str) -> None:
    shortest, _ = SCRIPTS[script]
    for words in (["--help"], ["-h"], [*shortest[:2], "--help"]):
        completed, called = run(clone, script, *words)
        assert (completed.returncode, completed.stderr, called) == (0, "", False)
        assert completed.stdout.startswith(("usage: scripts/", 'usage: eval "$(scripts/'))
        assert len(completed.stdout.splitlines()) > 1


@pytest.mark.parametrize("script", SHELL)
@pytest.mark.parametrize("option", ["--acount", "-x", f"--token={SECRET}"])
def test_an_option_that_a_script_does_not_have_is_named(clone: Path, script: str, option: str) -> None:
    shortest, _ = SCRIPTS[script]
    for words in ([option], [option, *shortest], [*shortest[:2], option]):
        line = refused(clone, script, *words)
        assert option.partition("=")[0] in line
        assert SECRET not in line


@pytest.mark.parametrize("script", SHELL)
def test_too_few_and_too_many_words_are_refused_and_not_repeated(clone: Path, script: str) -> None:
    shortest, most = SCRIPTS[script]
    for count in range(len(shortest)):
        refused(clone, script, *shortest[:count])
    if most is not None:
        filled = [*shortest, *["local"] * (most - len(shortest))]
        for more in ([SECRET], [SECRET, SECRET, "x"], [""]):
            assert SECRET not in refused(clone, script, *filled, *more)


@pytest.mark.parametrize("script", sorted(SCRIPTS.keys() - {"test", "completion"}))
def test_what_a_script_takes_goes_on(clone: Path, script: str) -> None:
    _, called = run(clone, script, *SCRIPTS[script][0])
    assert called


def test_what_has_not_begun_when_the_time_is_over_is_left_out_and_said(clone: Path) -> None:
    programs = clone / "bin"
    programs.mkdir()
    for name in ("haproxy", "nft"):  # nothing is to be installed for this
        (programs / name).symlink_to("/bin/true")
    for minutes, left_out in (("0", True), ("5", False)):
        environ = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(clone), "TEST_MINUTES": minutes}
        command = [str(clone / "scripts/test"), "slow"]
        completed = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert (
            f"left out   slow: what had not begun when TEST_MINUTES={minutes}" in completed.stdout
        ) is left_out
        assert completed.stdout.count("── slow: pytest") == 4, completed.stdout + completed.stderr


def test_a_slow_test_that_would_begin_too_late_is_skipped_by_name(tmp_path: Path) -> None:
    (tmp_path / "test_all.py").write_text(
        "import pytest\n\ndef test_quick(): pass\n\n@pytest.mark.slow\ndef test_slow(): pass\n"
    )
    for until, outcome in ((time.time() - 1, "1 passed, 1 skipped"), (time.time() + 600, "2 passed")):
        completed = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-ra",
                "-p",
                "tests.conftest",
                "--rootdir",
                tmp_path,
                tmp_path,
            ],
            env={**os.environ, "TEST_SLOW_UNTIL": str(until), "PYTEST_ADDOPTS": ""},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert outcome in completed.stdout, completed.stdout + completed.stderr


@pytest.mark.parametrize("script", OPERATIONS)
@pytest.mark.parametrize("words", [[], ["a b", "--x=$(y)", "", "*"], ["--help"]])
def test_a_verb_gets_the_command_line_of_its_script_word_for_word(
    clone: Path, script: str, words: Sequence[str]
) -> None:
    python = clone / ".venv/bin/python"
    before = python.read_text()
    python.write_text('#!/bin/sh\n[ "$1" = -c ] && echo "$0" || printf "<%s>" "$@" >>called\n')
    try:
        run(clone, script, *words)
        assert (
            (clone / "called")
            .read_text()
            .endswith("".join(f"<{word}>" for word in ("-m", "operations", script, *words)))
        )
    finally:
        python.write_text(before)


class TouchedError(Exception):
    """A verb went on to do something."""


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no verb get to its work: reading a stack file, or changing the environment."""

    def fail(*arguments: object, **options: object) -> None:
        raise TouchedError

    monkeypatch.setattr(cli, "stack_file", fail)
    monkeypatch.setattr("operations.engine.enter", fail)
    monkeypatch.setattr("operations.verbs.ci_preview.show", fail)


def misused(verb: str, words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Call a verb with what it does not take; return the one line that it says."""
    assert cli.main([verb, *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    assert line.startswith(f"scripts/{verb}: ")
    assert f"`scripts/{verb} --help` says what it takes" in line
    return line


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("verb", OPERATIONS)
def test_a_verb_says_what_it_takes(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    shortest = [word for word in SCRIPTS[verb][0] if verb != "init" or word == "disagg"]
    for words in (["--help"], ["-h"], [*shortest[:2], "--help"]):
        assert cli.main([verb, *words]) == 0
        printed = capsys.readouterr()
        assert printed.out.startswith(f"Usage: scripts/{verb} ")
        assert printed.err == ""
        assert len(printed.out.splitlines()) > 1


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("verb", OPERATIONS)
@pytest.mark.parametrize("option", ["--acount", "-x", f"--token={SECRET}"])
def test_an_option_that_a_verb_does_not_have_is_named(
    verb: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shortest = [word for word in SCRIPTS[verb][0] if verb != "init" or word == "disagg"]
    for words in ([option], [option, *shortest], [*shortest[:2], option]):
        line = misused(verb, words, capsys)
        assert option.partition("=")[0] in line
        assert SECRET not in line


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("verb", OPERATIONS)
def test_too_few_and_too_many_words_for_a_verb_are_refused_and_not_repeated(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shortest, most = SCRIPTS[verb]
    for count in range(len(shortest)):
        misused(verb, shortest[:count], capsys)
    if most is not None:
        filled = [*shortest, *["local"] * (most - len(shortest))]
        for more in ([SECRET], [SECRET, SECRET, "x"], [""]):
            assert SECRET not in misused(verb, [*filled, *more], capsys)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("verb", OPERATIONS)
def test_a_verb_goes_on_with_what_it_takes(verb: str) -> None:
    with pytest.raises(TouchedError):
        cli.main([verb, *SCRIPTS[verb][0]])


@pytest.mark.parametrize("words", [[], [SECRET], ["--acount"], [f"--token={SECRET}"]])
def test_what_is_no_verb_is_refused_with_those_that_there_are(
    words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines())) == ("", 1)
    assert SECRET not in printed.err
    assert "`python -m operations --help`" in printed.err


def test_the_tool_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {verb} " in printed for verb in OPERATIONS)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["scripts/up", "local-v"], ["local-vllm-disagg", "local-vllm-large", "local-vllm"]),
        (["scripts/plan", "--a"], ["--account"]),
        (["scripts/secret", "disagg", "hug"], ["huggingFaceToken"]),
        (["scripts/ci-preview", "agg", "disa"], ["disagg"]),
        (["scripts/node", "lab-ag"], ["lab-agg"]),
    ],
)
def test_a_shell_completes_stacks_and_options(typed: Sequence[str], expected: Sequence[str]) -> None:
    script = (
        'eval "$(scripts/completion)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dynamo_multinode "$1";'
    )
    completed = subprocess.run(
        ["bash", "-c", f"{script} printf '%s\\n' \"${{COMPREPLY[@]}}\"", "bash", *typed],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed.stdout.splitlines() == expected


@pytest.fixture
def handed_on(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Return what collects the options that `scripts/up` brings a stack up with, and do nothing else."""
    collected: list[Sequence[str]] = []
    monkeypatch.setattr(up, "bring_up", lambda stack, options: collected.append([stack, *options]))
    return collected


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], ["local"]),
        (["local-disagg"], ["local-disagg"]),
        (["--parallel", "1"], ["local", "--parallel=1"]),
        (["local-disagg", "-p", "1"], ["local-disagg", "--parallel=1"]),
        (
            ["-p", "1", "--refresh", "--target", "urn:a", "-t", "urn:b"],
            ["local", "--parallel=1", "--refresh", "--target=urn:a", "--target=urn:b"],
        ),
        (["--message=--stack", "--diff"], ["local", "--message=--stack", "--diff"]),
        (["--replace", "urn:pulumi:a::b"], ["local", "--replace=urn:pulumi:a::b"]),
    ],
)
def test_options_of_pulumi_go_with_an_up(
    handed_on: list[Sequence[str]], words: Sequence[str], options: Sequence[str]
) -> None:
    assert cli.main(["up", *words]) == 0
    assert handed_on == [options]


@pytest.mark.parametrize(
    "options",
    [
        ["--stack", "other"],
        ["--stack=other"],
        ["-sother"],
        ["-s", "other"],
        ["--cwd", "/"],
        ["-C", "/"],
        ["--config", f"dynamo:huggingFaceToken={SECRET}"],
        ["--show-secrets"],
        ["--yes", "local-disagg"],
        ["--refresh", "false"],
        ["--refresh=false"],
        ["--paralel", "1"],
        ["--parallel"],
        ["--", "template"],
        [f"https://{SECRET}@github.com/x/y"],
    ],
)
def test_options_that_make_an_up_another_command_are_refused(
    handed_on: list[Sequence[str]], options: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["up", "local", *options]) == 2
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines()), handed_on) == ("", 1, [])
    assert SECRET not in printed.err


STARTED_BY_OTHERS = {
    "nodectl.enter": "nodectl/run on a host",
    "nodectl.runtime.hub": "nodectl install, by a Python of its own",
    "nodectl.runtime.s3": "nodectl install, by a Python of its own",
    "nodectl.services.rank_standin": "the supervisor",
    "plugins.command.__main__": "the engine",
    "policy.__main__": "the engine",
    "tools.toolchain.actionlint": "scripts/test; it hands all arguments on",
}
"""Modules that no person runs -> who does."""

MODULES = sorted(
    name.removesuffix(".py").replace("/", ".")
    for name in TRACKED
    if name.endswith(".py") and not name.startswith("tests/")
    if '__name__ == "__main__"' in (PROJECT / name).read_text(encoding="utf-8")
    if name.removesuffix(".py").replace("/", ".") not in STARTED_BY_OTHERS
)


def ended(module: str, arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """Run a module as `python -m` does; return its exit status."""
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SystemExit) as end:
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    return end.value.code


@pytest.fixture(autouse=True)
def in_project(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(PROJECT)
    path, mask = os.environ["PATH"], os.umask(0o022)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGPIPE, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():  # a broken pipe would end the test run
        signal.signal(number, handler)
    os.umask(mask)
    os.environ["PATH"] = path


def test_modules_are_found() -> None:
    assert {"operations.__main__", "remote.__main__", "settings.reference"} <= set(MODULES)
    assert all((PROJECT / f"{name.replace('.', '/')}.py").is_file() for name in STARTED_BY_OTHERS)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_takes(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(module, ["--help"], monkeypatch) in (0, None)
    assert capsys.readouterr().out.lower().startswith("usage: ")


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    "arguments",
    [["--acount"], [f"--token={SECRET}"], ["1", "--acount"], [SECRET, SECRET, "--acount", SECRET]],
)
def test_a_module_refuses_what_it_does_not_take(
    module: str,
    arguments: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ended(module, arguments, monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert SECRET not in printed.err
