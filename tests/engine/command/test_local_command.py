"""Behaviour of `command:local:Command`, of either provider.

One small program is deployed in phases and destroyed; each test looks at one side of what happened.
"""

from dataclasses import dataclass

import pytest

from tests.engine.command.phases import STACK, Phase, deploy, destroy
from tests.engine.pulumi_cli import PulumiProject, Result

PROGRAM = r"""
import os
import pulumi
from pulumi_command import local

phase = int(os.environ["PHASE"])
changing = {"PHASE": str(phase)}


def note(event):
    return f"echo {event} >> journal"


def life(name):
    return {event: note(f"{name} {event}") for event in ("create", "update", "delete")}


# What a change does.
local.Command("unchanged", **life("unchanged"))
local.Command("updated", **life("updated"), environment=changing)
local.Command("without-update", create=note("without-update create"), environment=changing)
local.Command("without-both", delete=note(f"without-both delete {phase}"))
local.Command("logging", **life("logging"), logging="stdout" if phase == 1 else "stderr")
local.Command("replaced", create=note(f"replaced create {phase}"), update=note("replaced update"),
    delete=note(f"replaced delete {phase}"), triggers=[phase])
local.Command("first-trigger", **life("first-trigger"), triggers=None if phase == 1 else ["now"])

# What a command is given and gives.
printed = local.Command("printed", create="printf 'out\n\n'; printf 'err\n' >&2", environment=changing,
    update='printf %s "$PULUMI_COMMAND_STDOUT+$PULUMI_COMMAND_STDERR"')
forgetful = local.Command("forgetful", create='printf %s "[$PULUMI_COMMAND_STDOUT]"', environment=changing,
    add_previous_output_in_env=False)
given = local.Command("given", create='pwd; cat; printf %s "$GREETING"', dir="/", stdin="typed\n",
    environment={"GREETING": "hello  there"})
interpreted = local.Command("interpreted", create="print(6 * 7)", interpreter=["python3", "-c"])
chained = local.Command("chained", create=printed.stdout.apply(lambda out: f"printf '<%s>' '{out}'"))
deaf = local.Command("deaf", create="printf heard; exec 0<&-", stdin="x" * 1_000_000)

# What is shown, and what is secret.
local.Command("shows-both", create="echo both-out; echo both-err >&2; printf both-end")
local.Command("shows-stdout", create="echo one-out; echo one-err >&2", logging="stdout")
local.Command("shows-none", create="echo none-out", logging="none")
local.Command("secret-input", create="cat", stdin=pulumi.Output.secret("pass" + "word-1"), logging="none")
local.Command("secret-output", create="printf pass; printf word-2", logging="none",
    opts=pulumi.ResourceOptions(additional_secret_outputs=["stdout"]))

# What files it leaves.
leaves = "mkdir -p sub/deep; for f in a.txt b.txt c.md sub/deep/d.md sub/secret.txt; do echo $f > $f; done"
files = local.Command("files", create=leaves, dir="tree",
    asset_paths=["*.txt", "sub/**", "!**secret*"], archive_paths=["{a,c}.*"])

# A function runs at every preview and deployment.
ran = local.run_output(command="echo ran; cat", stdin="it")

if phase >= 3:
    local.Command("fails", create="echo before; echo problem >&2; test -e repaired", logging="none")
    local.Command("killed", create="test -e repaired || kill -9 $$")
    local.Command("nowhere", create="true", dir="nowhere")
    local.Command("slow", create="test -e repaired || sleep 100",
        opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="1s")))
local.Command("update-fails", create="printf kept", environment=changing,
    update="true" if phase < 3 else "test -e repaired")

pulumi.export("printed", [printed.stdout, printed.stderr])
pulumi.export("forgetful", forgetful.stdout)
pulumi.export("given", given.stdout)
pulumi.export("interpreted", interpreted.stdout)
pulumi.export("chained", chained.stdout)
pulumi.export("deaf", deaf.stdout)
pulumi.export("ran", ran.stdout)
"""


@dataclass(frozen=True)
class Life:
    """Observations from the first preview to the end."""

    project: PulumiProject
    preview: Result
    previewed: list[str]
    created: Phase
    again: Result
    changed: Phase
    failed: Phase
    repaired: Phase
    destroyed: Phase


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Take the program through its phases."""
    project = PulumiProject.make(tmp_path_factory.mktemp("local"), PROGRAM)
    (project.folder / "tree").mkdir()
    project.init(STACK)
    preview = project.preview(STACK, PHASE="1")
    previewed = sorted(path.name for path in project.folder.glob("[jt]*/**"))
    created = deploy(project, 1)
    again = project.preview(STACK, "--expect-no-changes", PHASE="1")
    changed = deploy(project, 2)
    failed = deploy(project, 3, "--continue-on-error", check=False)
    (project.folder / "repaired").touch()
    (project.folder / "nowhere").mkdir()
    repaired = deploy(project, 3)
    return Life(project, preview, previewed, created, again, changed, failed, repaired, destroy(project))


def test_a_preview_runs_nothing_and_knows_no_output(life: Life) -> None:
    assert life.previewed == ["tree"]
    assert life.preview.steps()["chained"] == "create"
    assert "given      : [unknown]" in life.preview.printed


def test_create_runs_once_and_an_unchanged_program_has_nothing_to_do(life: Life) -> None:
    assert life.created.ran.count("unchanged create") == 1
    assert set(life.again.steps().values()) == {"same"}
    assert not [line for line in life.changed.ran if line.startswith("unchanged")]


def test_a_changed_input_runs_update_else_create_else_nothing(life: Life) -> None:
    ran = life.changed.ran
    assert [line for line in ran if line.startswith("updated")] == ["updated update"]
    assert [line for line in ran if line.startswith("without-update")] == ["without-update create"]
    assert not [line for line in ran if line.startswith("without-both")]
    assert life.changed.result.steps()["without-both"] == "update"


def test_even_a_changed_logging_is_an_update(life: Life) -> None:
    assert "logging update" in life.changed.ran


def test_a_changed_trigger_replaces_even_with_an_update_and_creates_before_it_deletes(life: Life) -> None:
    ran = [line for line in life.changed.ran if line.startswith("replaced")]
    assert ran == ["replaced create 2", "replaced delete 1"]
    ran = [line for line in life.changed.ran if line.startswith("first-trigger")]
    assert ran == ["first-trigger create", "first-trigger delete"]


def test_destroy_runs_the_delete_of_the_state(life: Life) -> None:
    assert sorted(life.destroyed.ran) == [
        "first-trigger delete",
        "logging delete",
        "replaced delete 3",
        "unchanged delete",
        "updated delete",
        "without-both delete 3",
    ]
    assert "unchanged" not in life.destroyed.resources


def test_outputs_are_both_streams_without_one_last_newline(life: Life) -> None:
    assert life.created.outputs["printed"] == ["out\n", "err"]


def test_a_command_finds_what_the_last_one_printed_in_its_environment(life: Life) -> None:
    assert life.changed.outputs["printed"] == ["out\n+err", ""]
    assert life.created.outputs["forgetful"] == life.changed.outputs["forgetful"] == "[]"


def test_dir_stdin_environment_and_interpreter_reach_the_command(life: Life) -> None:
    assert life.created.outputs["given"] == "/\ntyped\nhello  there"
    assert life.created.outputs["interpreted"] == "42"


def test_a_command_need_not_read_its_input(life: Life) -> None:
    assert life.created.outputs["deaf"] == "heard"


def test_an_output_can_be_the_input_of_another_command(life: Life) -> None:
    assert life.created.outputs["chained"] == "<out\n>"


def test_each_line_is_shown_as_logging_says(life: Life) -> None:
    shown = life.created.result.shown()
    assert {"both-out", "both-err", "both-end", "one-out"} <= set(shown)
    assert not {"one-err", "none-out", "password-1", "password-2"} & set(shown)


def test_secrets_stay_out_of_state_and_display(life: Life) -> None:
    secret = life.created.saved("secret-input")
    assert "ciphertext" in secret["stdin"]
    assert secret["stdout"] == "password-1", "the output of a secret input is no secret by itself"
    assert "ciphertext" in life.created.saved("secret-output")["stdout"]


def test_globs_choose_the_files_that_become_assets_and_an_archive(life: Life) -> None:
    saved = life.created.saved("files")
    assert set(saved["assets"]) == {"a.txt", "b.txt", "sub/deep/d.md"}
    assert set(saved["archive"]["assets"]) == {"a.txt", "c.md"}


def test_the_function_runs_a_command_and_returns_what_it_printed(life: Life) -> None:
    assert life.created.outputs["ran"] == "ran\nit"


def test_a_failure_says_status_command_and_everything_printed(life: Life) -> None:
    printed = life.failed.result.printed
    assert life.failed.result.returncode != 0
    command = r"echo before; echo problem >&2; test -e repaired"
    assert f'exit status 1: running "{command}":' in printed
    assert "before\n" in printed
    assert "problem\n" in printed
    assert 'signal: killed: running "test -e repaired || kill -9 $$"' in printed
    assert "nowhere" in printed


def test_a_time_limit_of_the_resource_ends_its_command(life: Life) -> None:
    assert "slow" not in life.failed.resources
    assert "slow" in life.repaired.resources


def test_a_failure_saves_nothing_and_the_next_deployment_runs_it_again(life: Life) -> None:
    assert not {"fails", "killed", "nowhere"} & set(life.failed.resources)
    assert life.failed.saved("update-fails")["stdout"] == ""
    assert life.failed.resources["update-fails"]["inputs"]["environment"] == {"PHASE": "2"}
    steps = life.repaired.result.steps()
    assert {steps["fails"], steps["killed"], steps["nowhere"]} == {"create"}
    assert steps["update-fails"] == "update"
