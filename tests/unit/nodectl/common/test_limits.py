"""However a service is run, it may have as many open files as a unit's."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from nodectl.common import limits
from nodectl.common.layout import Layout
from nodectl.common.limits import OPEN_FILES
from nodectl.runtime import container
from nodectl.runtime.container import Container
from nodectl.supervisors import unitfile
from nodectl.supervisors.launch import Launch
from nodectl.supervisors.supervisor import Unit
from nodectl.supervisors.unitfile import Owner

PROJECT = Path(__file__).parents[4]
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
OWNER = Owner("stack", "n", Path("/root"), "user", (), {})


@pytest.mark.parametrize("contained", [False, True])
def test_a_unit_sets_the_limit_and_loses_no_lines(contained: bool) -> None:
    text = unitfile.text(OWNER, "frontend", Unit(("/bin/true",), 5, contained=contained))
    assert f"\nLimitNOFILE={OPEN_FILES}\n" in text
    seconds = re.search(r"^LogRateLimitIntervalSec=(\d+)s$", text, re.MULTILINE)
    lines = re.search(r"^LogRateLimitBurst=(\d+)$", text, re.MULTILINE)
    assert seconds
    assert lines
    assert int(lines[1]) / int(seconds[1]) >= 10_000, "lines a second, of several at 700 requests"


@pytest.mark.parametrize(
    ("program", "wanted"),
    [("docker", limits.most()), ("/usr/bin/podman", min(HARD, limits.most()))],
)
def test_a_container_has_what_its_program_may_give(program: str, wanted: int) -> None:
    made = Container(program=program, options=[], image="i", name="n")
    assert f"--ulimit=nofile={wanted}" in container.command(made, [], {}, [])


RAISED = (
    "from nodectl.common.limits import raise_open_files as r; import resource as s; "
    "print(r(), s.getrlimit(7))"
)


@pytest.mark.parametrize("hard", sorted({512, 1024, HARD}))
def test_what_a_shell_gives_is_raised_as_far_as_it_may_be(hard: int) -> None:
    done = subprocess.run(
        ["prlimit", f"--nofile=256:{hard}", sys.executable, "-c", RAISED],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    raised = int(done.split()[0])
    assert raised >= hard
    assert done == f"{raised} ({raised}, {max(raised, hard)})\n"


@pytest.mark.parametrize("contained", [False, True])
def test_a_service_starts_with_more_open_files_than_the_shell_that_up_ran_in(
    tmp_path: Path, contained: bool
) -> None:
    layout = Layout.at(tmp_path / ".run" / "stack" / "node-1")
    layout.make()
    program = tmp_path / "podman"
    program.write_text('#!/bin/sh\n[ "$1" = run ] && echo "$@" "(files $(ulimit -n))"\n')
    program.chmod(0o755)
    made = Container(program=str(program), name="n", image="i", options=[])
    argv = ["serve"] if contained else ["/bin/sh", "-c", 'echo "(files $(ulimit -n))"']
    one = Launch(argv, {}, [], [], 5, gang=None, container=made if contained else None)
    layout.launch("one").write_text(one.text())
    wait = [sys.executable, "-P", "-m", "nodectl", "wait", "--root", str(layout.root), "--service", "one"]
    done = subprocess.run(
        ["prlimit", f"--nofile=1024:{HARD}", *wait],
        cwd=PROJECT,
        env={"PYTHONPATH": str(PROJECT), "PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = int(done.partition("(files ")[2].partition(")")[0])
    assert files >= min(HARD, limits.most())
    assert not contained or f"--ulimit=nofile={files}" in done
    assert ("raise the hard limit" in done) == (files < limits.FEW)
