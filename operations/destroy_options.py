"""Options that a stack is destroyed with, whatever became of its file: gone, wrong, not to be decrypted.

Nothing that the file says of nodes is needed for it. What is needed are the keys that state is encrypted with
(state names them) and keys of the providers.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from operations.creating import check_passphrase
from settings.configuration import NAMESPACE
from settings.encrypted import SALT_KEY
from settings.loader import document, stack_file
from settings.problems import StackFileError


@contextlib.contextmanager
def options(stack: str, stack_state: Mapping[str, Any]) -> Iterator[list[str]]:
    """Give the options with which `pulumi destroy` reads the file made here in place of the stack's.

    Raises NotAllowedError for another passphrase than that of a shipped stack file.
    """
    path = stack_file(stack)
    try:
        contents = document(path)
    except StackFileError:
        contents = {}
    minimal_contents = configuration(stack_state, contents)
    check_passphrase(path, minimal_contents)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, path.name)
        file.write_text(yaml.safe_dump(minimal_contents), encoding="utf-8")
        yield ["--config-file", str(file)]


def configuration(stack_state: Mapping[str, Any], contents: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stack file that is enough to destroy: keys of the state's secrets, and of providers."""
    config = contents.get("config")
    provider_config = {
        key: value
        for key, value in (config if isinstance(config, dict) else {}).items()
        if ":" in key and not key.startswith(NAMESPACE)
    }
    other_keys = {key: value for key, value in contents.items() if key != "config"}
    return {**other_keys, **_encryption(stack_state), "config": provider_config}


def _encryption(stack_state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a stack file has of the keys that state is encrypted with; nothing where state says none.

    Source: pkg/secrets/passphrase and pkg/secrets/cloud of Pulumi 3.259, `State`.
    """
    provider = (stack_state.get("deployment") or {}).get("secrets_providers") or {}
    state = provider.get("state") or {}
    if provider.get("type") == "passphrase":
        return {SALT_KEY: state["salt"]}
    if provider.get("type") == "cloud":
        return {"secretsprovider": state["url"], "encryptedkey": state["encryptedkey"]}
    return {}
