"""Making a stack: where its state may be, and what its secrets may be encrypted with.

The stack file need not be right for that: what is wrong may be the secret that is about to be set.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from operations.stackfile import kept_as_written
from planning.aws.state import kept_on_this_machine, local_state
from program.backend import UnknownBackendError, backend, recorded
from settings.configuration import own_keys
from settings.encrypted import PASSPHRASE, SALT_KEY, TOKEN_KEY, exposed, keyless_problem, own_key
from settings.loader import document, stack_file
from settings.problems import STACK
from tools.toolchain.shell import SALT

IN_CLOUD: Final = ("https", "http")
"""Schemes of Pulumi Cloud, which has keys of its own."""

_PASSPHRASE: Final = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 - the name of the variable


class NotAllowedError(Exception):
    """A stack may not be made as it is; the text says why, and what to do."""


def create(stack: str, *, secret: bool = False) -> None:
    """Make the stack unless it is there; one that may not be leaves no trace of the try.

    `secret` is that one is about to be set. Raises NotAllowedError, StackFileError for a file that cannot be
    read, and CalledProcessError, with what Pulumi said, where it cannot make it.
    """
    path = stack_file(stack)
    contents = document(path)
    for problem in _against(stack, path, contents, secret=secret):
        raise NotAllowedError(problem.replace(STACK, stack))
    provider = contents.get("secretsprovider")
    option = ["--secrets-provider", str(provider)] if provider else []
    select = ["pulumi", "stack", "select", "--create", "--stack", stack, "--non-interactive", *option]
    with kept_as_written(path):
        completed = subprocess.run(select, capture_output=True, text=True, check=False)
        completed.check_returncode()
    print(completed.stderr, end="", file=sys.stderr)


def check_passphrase(path: Path, contents: Mapping[str, Any]) -> None:
    """Say what Pulumi does not when a shipped stack file meets a passphrase of the user's own.

    Raises NotAllowedError.
    """
    if contents.get(SALT_KEY) == SALT and os.environ.get(_PASSPHRASE, PASSPHRASE) != PASSPHRASE:
        raise NotAllowedError(
            f"{_PASSPHRASE}: {path} was made with the passphrase `{PASSPHRASE}`, and another one "
            f"is set; run this with {_PASSPHRASE}={PASSPHRASE}, or remove `{SALT_KEY}` there"
        )


def _against(stack: str, path: Path, contents: Mapping[str, Any], *, secret: bool) -> Iterator[str]:
    config = contents.get("config")
    keys, _ = own_keys(config if isinstance(config, dict) else {})
    target = keys.get("target")
    target = target if isinstance(target, dict) else {}
    if target.get("kind") == "aws" and target.get("allowLocalState") is not True:
        yield from _of_state(stack)
    kind, has_token = str(target.get("kind")), TOKEN_KEY in keys
    for problem in exposed(kind, contents, held=has_token, token=secret):
        yield f"{path}: {problem.key} {problem.message}"
    if has_token and not secret and (key_problem := keyless_problem(keys[TOKEN_KEY], contents)):
        yield f"{path}: {TOKEN_KEY} {key_problem}"
    yield from _of_passphrase(path, contents, kind=kind, token=has_token or secret)
    check_passphrase(path, contents)


def _of_state(stack: str) -> Iterator[str]:
    """Yield that state would be on this machine, for a stack on AWS."""
    try:
        url = backend()
    except UnknownBackendError as error:
        yield str(error)
        return
    if kept_on_this_machine(url):
        yield f"{local_state(url, stack)}. Nothing was created."


def _of_passphrase(path: Path, contents: Mapping[str, Any], *, kind: str, token: bool) -> Iterator[str]:
    """Yield that a passphrase that everybody knows would protect what is not of this machine alone."""
    url = os.environ.get("PULUMI_BACKEND_URL") or recorded() or ""
    scheme = urlsplit(url).scheme
    is_shared = scheme not in ("", "file")
    needs_key = is_shared or kind == "aws" or (token and kind != "local")
    if needs_key and scheme not in IN_CLOUD and not contents.get("secretsprovider") and _is_known(os.environ):
        reason = "its secrets would be encrypted with a passphrase that everybody knows"
        yield f"{path}: {reason}; {own_key(url, token=token)}"


def _is_known(environ: Mapping[str, str]) -> bool:
    """Return whether everybody knows the passphrase that Pulumi would use."""
    file = environ.get(f"{_PASSPHRASE}_FILE")
    if _PASSPHRASE in environ or file is None:
        return environ.get(_PASSPHRASE, "") in ("", PASSPHRASE)
    try:
        return Path(file).read_text(encoding="utf-8").strip() in ("", PASSPHRASE)
    except (OSError, UnicodeDecodeError):
        return False  # Pulumi says what is wrong with it
