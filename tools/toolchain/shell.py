"""The environment in which plain `pulumi` commands work in this project, as lines for `eval`.

`scripts/env STACK` sets up a shell for one stack. Without a stack the shell is for the stacks that colleagues
share: their backend, where Pulumi.yaml names one, and the policy pack in every preview and `up`.
"""

import json
import os
import shlex
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nodectl.common.commandline import CommandLine
from program.backend import recorded
from settings.encrypted import PASSPHRASE
from settings.loader import document, stack_file
from settings.problems import StackFileError
from tools.toolchain import loopback, provider, uv
from tools.toolchain.common import PROJECT, TOOLCHAIN, ToolchainError
from tools.toolchain.exported import RECORD, before

SALT = "v1:3UIMD+y8dxE=:v1:N2Ho5jONoxFAgkwD:8uPqNWjG5+PrcolqnWkA+Ry83+5BSg=="
"""Made with the documented passphrase; the local stack files carry it, so that they never change."""

STATE = PROJECT / ".state"
POLICY = PROJECT / "policy"


def exports(theirs: Mapping[str, str], stack: str | None) -> dict[str, str]:
    """Return what to export over the user's own environment; makes the folders that it names."""
    ours = {
        name: value
        for name, value in {
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }.items()
        if name not in theirs
    }
    home = provider.user_home(theirs)
    credentials = Path(theirs.get("PULUMI_CREDENTIALS_PATH") or home)
    if not provider.official(home):
        offline = TOOLCHAIN / "pulumi-home"
        provider.provide_offline(offline)
        ours |= {"PULUMI_HOME": str(offline), "PULUMI_CREDENTIALS_PATH": str(credentials)}
    if _keeps_state_here(theirs, credentials, stack):
        STATE.mkdir(exist_ok=True)
        ours["PULUMI_BACKEND_URL"] = f"file://{urllib.parse.quote(str(STATE))}"
    if not theirs.keys() & {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"}:
        ours["PULUMI_CONFIG_PASSPHRASE"] = PASSPHRASE
    ours["UV_PYTHON"] = uv.base_python()  # or Pulumi's uv moves the environment to the first Python on PATH
    ours |= loopback.around_proxies(theirs)
    if "PULUMI_OPTION_POLICY_PACK" not in theirs and is_judged(stack):
        ours["PULUMI_OPTION_POLICY_PACK"] = _quoted(_quoted(str(POLICY)))
    return ours


def is_judged(stack: str | None) -> bool:
    """Tell whether the policy pack judges a stack. It has nothing to say outside AWS, and takes a second."""
    return stack is None or _kind(stack) not in ("local", "hosts")


def is_private(stack: str) -> bool:
    """Tell whether a stack is of one machine or of nobody: a local one, or one as shipped for the lab."""
    return _kind(stack) == "local" or _document(stack).get("encryptionsalt") == SALT


def _keeps_state_here(theirs: Mapping[str, str], credentials: Path, stack: str | None) -> bool:
    if theirs.get("PULUMI_BACKEND_URL"):
        return False
    if recorded(PROJECT):
        return stack is not None and is_private(stack)
    return not (theirs.get("PULUMI_ACCESS_TOKEN") or logged_in(credentials))


def _kind(stack: str) -> object:
    config = _mapping(_document(stack).get("config"))
    return _mapping(config.get("dynamo:target", config.get("target"))).get("kind")


def _document(stack: str) -> Mapping[str, Any]:
    """Return a stack file; nothing of one that cannot be read, which whoever needs it says."""
    try:
        return document(PROJECT / stack_file(stack))
    except StackFileError:
        return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _quoted(text: str) -> str:
    """Quote a text for the CLI, which reads options as lists: twice where they are in its environment."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set('",') else text


def logged_in(credentials: Path) -> bool:
    """Tell whether `pulumi login` chose a backend; an encrypted record exists only after one."""
    try:
        record = json.loads((credentials / "credentials.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(record.get("current")) or "$pulumiSecureStore" in record


def environment(environ: Mapping[str, str], stack: str | None = None) -> dict[str, str]:
    """Return the environment of this project, or of one of its stacks, in place of `environ`.

    Raises ToolchainError where the project's folder cannot be on PATH.
    """
    theirs = before(environ)
    ours = exports(theirs, stack)
    record = json.dumps({name: (value, theirs.get(name)) for name, value in sorted(ours.items())})
    return {**theirs, **ours, "PATH": os.pathsep.join([_tools_folder(), theirs["PATH"]]), RECORD: record}


def script(environ: Mapping[str, str], stack: str | None = None) -> str:
    """Return the shell lines that turn `environ` into this project's environment."""
    ours = environment(environ, stack)
    changed = {name for name in environ.keys() | ours.keys() if environ.get(name) != ours.get(name)}
    return "".join(
        f"export {name}={shlex.quote(ours[name])}\n" if name in ours else f"unset {name}\n"
        for name in sorted(changed)
    )


def _tools_folder() -> str:
    folder = str(TOOLCHAIN / "bin")
    if os.pathsep in folder:
        raise ToolchainError(f"{PROJECT} cannot be on PATH, as its name has a colon; move the project")
    return folder


def main(argv: Sequence[str]) -> int:
    """Print the lines; a problem is one message and a failing `eval`."""
    parser = CommandLine(prog="scripts/env", description=__doc__)
    parser.add_argument("stack", nargs="?", metavar="STACK")
    stack = parser.parse_args(argv).stack
    try:
        if stack is not None:
            stack_file(stack)
        lines = script(os.environ, stack)
    except StackFileError as error:
        print(f"scripts/env: {error.problems[0].subject}: {error.problems[0].message}", file=sys.stderr)
        return 2
    except (ToolchainError, OSError) as error:
        print(f"scripts/env: {error}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(os.fsencode(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
