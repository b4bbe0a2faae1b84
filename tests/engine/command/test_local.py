"""How `command:local:Command` behaves, whichever provider is installed: the documented life of a command.

One small program is deployed in phases; each test looks at one side of what happened.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engine.pulumi_cli import PulumiProject, Result

PROGRAM = """
    import os
    import pulumi
    from pulumi_command import local

    phase = int(os.environ["PHASE"])

    def note(name, event):
        return f"echo {name}:{event} >> journal"

    def lives(name):
        return {event: note(name, event) for event in ("create", "update", "delete")}

    # What an update does.
    local.Command("unchanged", **lives("unchanged"))
    local.Command("updates", **lives("updates"), environment={"PHASE": str(phase)})
    local.Command("creates-again", create=note("creates-again", "create"), stdin=str(phase))
    local.Command("deletes-only", delete=note("deletes-only", f"delete-{phase}"), logging="none" if phase > 1 else None)
    local.Command("replaced", create=note("replaced", "create"), update=note("replaced", "update"),
        delete=note("replaced", f"delete-{phase}"), triggers=[phase])
    local.Command("first-trigger", **lives("first-trigger"), triggers=None if phase == 1 else ["now"])

    # What a command is given.
    printed = local.Command("printed", create="printf 'out\\\\n\\\\n'; printf 'err\\\\n' >&2",
        update="printf \\"$PULUMI_COMMAND_STDOUT+$PULUMI_COMMAND_STDERR\\"", environment={"PHASE": str(phase)})
    forgets = local.Command("forgets", create="printf \\"[$PULUMI_COMMAND_STDOUT]\\"",
        add_previous_output_in_env=False, environment={"PHASE": str(phase)})
    given = local.Command("given", create="pwd; cat; echo $GREETING", dir="/", stdin="typed\\n",
        environment={"GREETING": "hello  there"})
    python = local.Command("python", create="print(6 * 7)", interpreter=["python3", "-c"])
    chained = local.Command("chained", create=printed.stdout.apply(lambda out: f"printf '<%s>' '{out}'"))
    deaf = local.Command("deaf", create="true", stdin="x" * 1_000_000)

    # What is shown, and what is secret.
    local.Command("shows-both", create="echo both-out; echo both-err >&2; printf both-end")
    local.Command("shows-stdout", create="echo shown-out; echo hidden-err >&2", logging="stdout")
    local.Command("shows-none", create="echo hidden-out", logging="none")
    local.Command("secret-input", create="cat", stdin=pulumi.Output.secret("pass" + "word-1"), logging="none")
    local.Command("secret-output", create="printf pass; printf word-2", logging="none",
        opts=pulumi.ResourceOptions(additional_secret_outputs=["stdout"]))

    # What files it leaves.
    files = local.Command("files", dir="tree", asset_paths=["*.txt", "sub/**", "!**secret*"],
        archive_paths=["{a,b}.txt"],
        create="mkdir -p sub/deep; for f in a.txt b.txt c.md sub/deep/d.md sub/secret.txt; do echo $f > $f; done")

    # A function, which runs at every preview and deployment.
    ran = local.run_output(command="echo ran; cat", stdin="it")

    if phase == 3:
        local.Command("fails", create="echo before; echo problem >&2; test -e repaired", logging="none")
        local.Command("after", create="true", opts=pulumi.ResourceOptions(depends_on=[]))
    if phase == 4:
        local.Command("updates-badly", create="true")

    pulumi.export("printed", [printed.stdout, printed.stderr])
    pulumi.export("forgets", forgets.stdout)
    pulumi.export("given", given.stdout)
    pulumi.export("python", python.stdout)
    pulumi.export("chained", chained.stdout)
    pulumi.export("assets", files.assets.apply(sorted))
    pulumi.export("ran", ran.stdout)
"""
