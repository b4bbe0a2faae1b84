"""Print the environment in which plain `pulumi` commands work in this project, as lines for `eval`.

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
"""Salt of the documented passphrase, in the local stack files, so that Pulumi never changes them."""

STATE = PROJECT / ".state"
POLICY = PROJECT / "policy"


def exports(environ: Mapping[str, str], stack: str | None) -> dict[str, str]:
    """Return the variables to set in the user's environment; create the folders that they name."""
    exported = {
        name: value
        for name, value in {
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }.items()
        if name not in environ
    }
    home = provider.user_home(environ)
    credentials = Path(environ.get("PULUMI_CREDENTIALS_PATH") or home)
    if not provider.official(home):
        offline = TOOLCHAIN / "pulumi-home"
        provider.provide_offline(offline)
        exported |= {"PULUMI_HOME": str(offline), "PULUMI_CREDENTIALS_PATH": str(credentials)}
    if _keeps_state_here(environ, credentials, stack):
        STATE.mkdir(exist_ok=True)
        exported["PULUMI_BACKEND_URL"] = f"file://{urllib.parse.quote(str(STATE))}"
    if not environ.keys() & {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"}:
        exported["PULUMI_CONFIG_PASSPHRASE"] = PASSPHRASE
    # or Pulumi's uv moves the environment to the first Python on PATH
    exported["UV_PYTHON"] = uv.base_python()
    exported |= loopback.around_proxies(environ)
    if "PULUMI_OPTION_POLICY_PACK" not in environ and is_judged(stack):
        exported["PULUMI_OPTION_POLICY_PACK"] = _quoted(_quoted(str(POLICY)))
    return exported


def is_judged(stack: str | None) -> bool:
    """Return whether the policy pack checks a stack: not outside AWS, where it would only cost a second."""
    return stack is None or _kind(stack) not in ("local", "hosts")


def is_private(stack: str) -> bool:
    """Return whether a stack is only for this machine: a local one, or one as shipped for the lab."""
    return _kind(stack) == "local" or _document(stack).get("encryptionsalt") == SALT


def _keeps_state_here(environ: Mapping[str, str], credentials: Path, stack: str | None) -> bool:
    if environ.get("PULUMI_BACKEND_URL"):
        return False
    if recorded(PROJECT):
        return stack is not None and is_private(stack)
    return not (environ.get("PULUMI_ACCESS_TOKEN") or logged_in(credentials))


def _kind(stack: str) -> object:
    config = _mapping(_document(stack).get("config"))
    return _mapping(config.get("dynamo:target", config.get("target"))).get("kind")


def _document(stack: str) -> Mapping[str, Any]:
    """Return a stack file; empty if it cannot be read, which is reported by those who need it."""
    try:
        return document(PROJECT / stack_file(stack))
    except StackFileError:
        return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _quoted(text: str) -> str:
    """Quote a text for the CLI, which reads options as lists, twice if they are in its environment."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set('",') else text


def logged_in(credentials: Path) -> bool:
    """Return whether `pulumi login` chose a backend; an encrypted record exists only after one."""
    try:
        record = json.loads((credentials / "credentials.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(record.get("current")) or "$pulumiSecureStore" in record


def environment(environ: Mapping[str, str], stack: str | None = None) -> dict[str, str]:
    """Return `environ` changed to the environment of this project, or of one of its stacks.

    Raises ToolchainError if the project's folder cannot be on PATH.
    """
    original = before(environ)
    exported = exports(original, stack)
    record = json.dumps({name: (value, original.get(name)) for name, value in sorted(exported.items())})
    path = os.pathsep.join([_tools_folder(), original["PATH"]])
    return {**original, **exported, "PATH": path, RECORD: record}


def script(environ: Mapping[str, str], stack: str | None = None) -> str:
    """Return the shell lines that change `environ` to this project's environment."""
    target = environment(environ, stack)
    changed = {name for name in environ.keys() | target.keys() if environ.get(name) != target.get(name)}
    return "".join(
        f"export {name}={shlex.quote(target[name])}\n" if name in target else f"unset {name}\n"
        for name in sorted(changed)
    )


def _tools_folder() -> str:
    folder = str(TOOLCHAIN / "bin")
    if os.pathsep in folder:
        raise ToolchainError(f"{PROJECT} cannot be on PATH, as its name has a colon; move the project")
    return folder


def main(argv: Sequence[str]) -> int:
    """Print the lines; return the exit status. A problem is one message and a failing `eval`."""
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
