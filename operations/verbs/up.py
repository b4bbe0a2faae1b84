"""`scripts/up`: a stack planned, brought up with the engine, and proved.

Options are those of `pulumi up` that go with it. Others would make it another command: `--stack` one for
another stack, `--config` one that writes the stack file, a word that is no option's value one that looks for
a template of that name on the internet.
"""

import json
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from operations import engine
from operations.creating import create
from operations.errors import reported
from operations.explaining import costs, explain
from operations.locks import unlock
from operations.repairing import repair
from operations.state import outputs, plain
from operations.verbs.arguments import Stack
from operations.verbs.plan import show
from operations.verbs.prove import last_proof, prove_again

Values = list[str] | None
"""Values of an option that may be given more than once."""


def up(
    context: typer.Context,
    stack: Stack = "local",
    continue_on_error: Annotated[bool, typer.Option("--continue-on-error")] = False,
    debug: Annotated[bool, typer.Option("--debug", "-d")] = False,
    diff: Annotated[bool, typer.Option("--diff")] = False,
    exclude_dependents: Annotated[bool, typer.Option("--exclude-dependents")] = False,
    expect_no_changes: Annotated[bool, typer.Option("--expect-no-changes")] = False,
    ignore_protect: Annotated[bool, typer.Option("--ignore-protect")] = False,
    logflow: Annotated[bool, typer.Option("--logflow")] = False,
    logtostderr: Annotated[bool, typer.Option("--logtostderr")] = False,
    non_interactive: Annotated[bool, typer.Option("--non-interactive")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", "-r")] = False,
    run_program: Annotated[bool, typer.Option("--run-program")] = False,
    show_full_output: Annotated[bool, typer.Option("--show-full-output")] = False,
    show_policy_remediations: Annotated[bool, typer.Option("--show-policy-remediations")] = False,
    show_reads: Annotated[bool, typer.Option("--show-reads")] = False,
    show_replacement_steps: Annotated[bool, typer.Option("--show-replacement-steps")] = False,
    show_sames: Annotated[bool, typer.Option("--show-sames")] = False,
    skip_preview: Annotated[bool, typer.Option("--skip-preview", "-f")] = False,
    suppress_outputs: Annotated[bool, typer.Option("--suppress-outputs")] = False,
    suppress_progress: Annotated[bool, typer.Option("--suppress-progress")] = False,
    target_dependents: Annotated[bool, typer.Option("--target-dependents")] = False,
    urns: Annotated[bool, typer.Option("--urns")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y")] = False,
    color: Annotated[Values, typer.Option("--color", metavar="VALUE")] = None,
    exclude: Annotated[Values, typer.Option("--exclude", metavar="VALUE")] = None,
    message: Annotated[Values, typer.Option("--message", "-m", metavar="VALUE")] = None,
    otel_traces: Annotated[Values, typer.Option("--otel-traces", metavar="VALUE")] = None,
    parallel: Annotated[Values, typer.Option("--parallel", "-p", metavar="VALUE")] = None,
    policy_pack: Annotated[Values, typer.Option("--policy-pack", metavar="VALUE")] = None,
    policy_pack_config: Annotated[Values, typer.Option("--policy-pack-config", metavar="VALUE")] = None,
    profiling: Annotated[Values, typer.Option("--profiling", metavar="VALUE")] = None,
    replace: Annotated[Values, typer.Option("--replace", metavar="VALUE")] = None,
    target: Annotated[Values, typer.Option("--target", "-t", metavar="VALUE")] = None,
    target_replace: Annotated[Values, typer.Option("--target-replace", metavar="VALUE")] = None,
    tracing: Annotated[Values, typer.Option("--tracing", metavar="VALUE")] = None,
    verbose: Annotated[Values, typer.Option("--verbose", "-v", metavar="VALUE")] = None,
) -> int:
    """Bring a stack up and prove it. Options are those of `pulumi up`, which says what each does.

    For example: scripts/up local-disagg --parallel 1
    """
    return bring_up(stack, list(given_options(context)))


def given_options(context: typer.Context) -> Iterator[str]:
    """Yield the options for `pulumi up`, each with its value, as they were given."""
    names = {param.name: param.opts[0] for param in context.command.params if param.opts[0].startswith("--")}
    for name, value in context.params.items():
        if name not in names:
            continue
        if value is True:
            yield names[name]
        for option_value in value if isinstance(value, (list, tuple)) else ():
            yield f"{names[name]}={option_value}"


def bring_up(stack: str, options: Sequence[str] = ()) -> int:
    """Plan a stack, bring it up with these options of `pulumi up`, and prove it; return the exit code.

    Raises StackFileError for a wrong stack file, and StackError or NotAllowedError for what cannot be.
    """
    show(stack)
    engine.enter(stack)
    unlock(stack)
    create(stack)
    if code := repair(stack):
        return code
    if code := _update(stack, options):
        return code
    stack_state = engine.exported(stack)
    if code := reported(stack, lambda: prove_again(stack, stack_state)):
        reported(stack, lambda: costs(stack))  # beside the failure, which counts
        return code
    ready(stack, stack_state)
    return 0


def _update(stack: str, options: Sequence[str]) -> int:
    """Run `pulumi up`; where it fails, say why. Return its exit code."""
    with tempfile.NamedTemporaryFile(prefix="events-") as events:  # what the engine did says why
        code = engine.run(
            *("up", "--stack", stack, "--yes", "--skip-preview", "--suppress-outputs"),
            *("--event-log", events.name, *options),
            environ={"PULUMI_DEBUG_COMMANDS": "true"},
        )
        if code:
            reported(stack, lambda: explain(stack, Path(events.name)))  # beside the failure, which counts
        return code


def ready(stack: str, stack_state: Mapping[str, Any] | None) -> None:
    """Say where the model answers, how to try it and how to undo it."""
    spec, endpoint = json.loads(last_proof(stack, stack_state).spec), plain(outputs(stack_state)["endpoint"])
    request = {"model": spec["model"], "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}
    url = f"{endpoint}/v1/chat/completions"
    curl = ["curl", "-s", url, "-H", "Content-Type: application/json", "-d", json.dumps(request)]
    print(f"ready      {endpoint}  model {spec['model']}")
    print(f"try        {shlex.join(curl)}")
    print(f"undo       scripts/down {stack}")
