"""What a shell needs so that plain `pulumi` commands work in this project, as lines for `eval`."""

import json
import os
import shlex
import sys
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from scripts.toolchain import provider
from scripts.toolchain.common import PROJECT, TOOLCHAIN, ToolchainError

RECORD = "DYNAMO_MULTINODE_ENV"
"""What was exported last and what it replaced, so that no clone takes it for the user's own."""

PASSPHRASE = "dynamo"  # noqa: S105 -- documented: the shipped stack files hold no secrets
STATE = PROJECT / ".state"


def before(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as it was before the exports of this clone or of another."""
    restored = dict(environ)
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    restored["PATH"] = os.pathsep.join(f for f in folders if Path(f).parent.name != TOOLCHAIN.name)
    for name, (ours, theirs) in json.loads(environ.get(RECORD, "{}")).items():
        if restored.get(name) == ours:
            restored.pop(name)
            if theirs is not None:
                restored[name] = theirs
    restored.pop(RECORD, None)
    return restored


def exports(theirs: Mapping[str, str]) -> dict[str, str]:
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
    if not (theirs.get("PULUMI_BACKEND_URL") or theirs.get("PULUMI_ACCESS_TOKEN") or logged_in(credentials)):
        STATE.mkdir(exist_ok=True)
        ours["PULUMI_BACKEND_URL"] = f"file://{urllib.parse.quote(str(STATE))}"
    if not theirs.keys() & {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"}:
        ours["PULUMI_CONFIG_PASSPHRASE"] = PASSPHRASE
    return ours


def logged_in(credentials: Path) -> bool:
    """Tell whether `pulumi login` chose a backend; an encrypted record exists only after one."""
    try:
        record = json.loads((credentials / "credentials.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(record.get("current")) or "$pulumiSecureStore" in record


def script(environ: Mapping[str, str]) -> str:
    """Return the shell lines that turn `environ` into this project's environment."""
    theirs = before(environ)
    ours = exports(theirs)
    wanted = {**theirs, **ours, "PATH": os.pathsep.join([_tools_folder(), theirs["PATH"]])}
    wanted[RECORD] = json.dumps({name: (value, theirs.get(name)) for name, value in sorted(ours.items())})
    names = ours.keys() | {"PATH", RECORD} | {n for n in environ if environ[n] != wanted.get(n)}
    return "".join(
        f"export {name}={shlex.quote(wanted[name])}\n" if name in wanted else f"unset {name}\n"
        for name in sorted(names)
    )


def _tools_folder() -> str:
    folder = str(TOOLCHAIN / "bin")
    if os.pathsep in folder:
        raise ToolchainError(f"{PROJECT} cannot be on PATH, as its name has a colon; move the project")
    return folder


def main() -> int:
    """Print the lines; a problem is one message and a failing `eval`."""
    try:
        lines = script(os.environ)
    except (ToolchainError, OSError) as error:
        print(f"scripts/env: {error}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(os.fsencode(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
