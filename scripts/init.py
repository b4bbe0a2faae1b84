"""Where a stack's state is kept and what its secrets are encrypted with, decided once for all who work on it.

The backend is written into Pulumi.yaml, which Pulumi itself reads, and the secrets provider into the stack
file, where Pulumi keeps it: both belong in version control, and a fresh clone needs neither this script nor a
login.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import yaml

from components.backend import recorded
from planning.aws.state import kept_on_this_machine, local_state
from scripts.toolchain.exported import before
from scripts.toolchain.shell import PASSPHRASE, SALT
from settings import Settings
from settings.aws import AwsTarget
from settings.problems import StackFileError
from settings.reading import read_stack_file, stack_file

BACKENDS: Final = ("s3", "gs", "azblob", "https", "http", "file")
PROVIDERS: Final = ("awskms", "gcpkms", "azurekeyvault", "hashivault")
CLOUD: Final = ("https", "http")
PASSPHRASE_PROVIDER: Final = "passphrase"  # noqa: S105 -- names no password
CLOUD_PROVIDER: Final = "default"

_EXAMPLE: Final = (
    'for example: scripts/init disagg --backend "s3://team-state/dynamo?region=us-east-1" '
    '--secrets-provider "awskms://alias/dynamo?region=us-east-1"'
)


@dataclass(frozen=True)
class Wanted:
    """What was asked for."""

    stack: str
    backend: str
    provider: str


def problems(
    wanted: Wanted, settings: Settings, document: Mapping[str, Any], environ: Mapping[str, str]
) -> list[str]:
    """Return everything that speaks against it, each with its remedy.

    `document` is the stack file, `environ` the user's own environment.
    """
    if settings.target.kind == "local":
        return [f"{wanted.stack}: runs on this machine and keeps its state in the project; nothing to decide"]
    found = [
        *_of_backend(wanted, settings, environ),
        *_of_provider(wanted, environ),
        *_of_what_is_there(wanted, document),
    ]
    return [text for text in found if text]


def record(backend: str, project: Path = Path()) -> None:
    """Write the backend into Pulumi.yaml, whose comments and order stay."""
    path = project / "Pulumi.yaml"
    text = path.read_text(encoding="utf-8")
    if recorded(project) is None:
        path.write_text(f"{text.rstrip()}\nbackend:\n  url: {backend}\n", encoding="utf-8")


def _of_backend(wanted: Wanted, settings: Settings, environ: Mapping[str, str]) -> list[str]:
    place = urlsplit(wanted.backend)
    if place.scheme not in BACKENDS or not (place.netloc or place.path.strip("/")):
        expected = "s3://BUCKET/FOLDER?region=REGION, gs://BUCKET, azblob://CONTAINER, https://api.pulumi.com"
        return [f"--backend {wanted.backend}: expected {expected} or file:///FOLDER; {_EXAMPLE}"]
    own = environ.get("PULUMI_BACKEND_URL")
    return [
        _personal("--backend", wanted.backend),
        local_state(wanted.backend, wanted.stack) if _needs_sharing(wanted.backend, settings) else "",
        f"PULUMI_BACKEND_URL: is {own}, which would be used in place of {wanted.backend}; unset it"
        if own and own != wanted.backend
        else "",
    ]


def _needs_sharing(backend: str, settings: Settings) -> bool:
    """Whether the backend is of this machine alone, and what it would hold costs money."""
    target = settings.target
    return isinstance(target, AwsTarget) and not target.allow_local_state and kept_on_this_machine(backend)


def _of_provider(wanted: Wanted, environ: Mapping[str, str]) -> list[str]:
    provider, place = wanted.provider, urlsplit(wanted.provider)
    in_cloud = urlsplit(wanted.backend).scheme in CLOUD
    if provider == CLOUD_PROVIDER:
        remedy = "only Pulumi Cloud has one; name a key, such as awskms://alias/dynamo?region=us-east-1"
        return [] if in_cloud else [f"--secrets-provider {provider}: {remedy}"]
    if provider == PASSPHRASE_PROVIDER:
        own = environ.get("PULUMI_CONFIG_PASSPHRASE") or environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
        documented = own in (None, "", PASSPHRASE)
        remedy = "set PULUMI_CONFIG_PASSPHRASE to one that all who work on the stack know, and nobody else"
        return [f"--secrets-provider {provider}: {remedy}"] if documented else []
    if place.scheme not in PROVIDERS or not (place.netloc or place.path.strip("/")):
        known = ", ".join(f"{scheme}://…" for scheme in PROVIDERS)
        expected = f"{known}, `{PASSPHRASE_PROVIDER}`, or with Pulumi Cloud `{CLOUD_PROVIDER}`"
        return [f"--secrets-provider {provider}: expected {expected}; {_EXAMPLE}"]
    regionless = place.scheme == "awskms" and "region" not in parse_qs(place.query)
    return [
        _personal("--secrets-provider", provider),
        f"--secrets-provider {provider}: names no region, and each colleague may have another; "
        "add ?region=us-east-1"
        if regionless
        else "",
    ]


def _of_what_is_there(wanted: Wanted, document: Mapping[str, Any]) -> list[str]:
    there, path = recorded(), stack_file(wanted.stack)
    provider, salt = document.get("secretsprovider"), document.get("encryptionsalt")
    change = f'run: pulumi stack change-secrets-provider --stack {wanted.stack} "{wanted.provider}"'
    if salt == SALT:
        return [f"{path}: `encryptionsalt` is of the documented passphrase; remove that line"]
    return [
        f"Pulumi.yaml: the state of this project is kept at {there}; write that, or move every stack with "
        "`pulumi stack export` and `import` and change `backend` there"
        if there not in (None, wanted.backend)
        else "",
        f"{path}: its secrets are encrypted by {provider}; {change}"
        if provider and provider != wanted.provider
        else "",
        f"{path}: its secrets are encrypted with a passphrase; {change}"
        if salt and not provider and wanted.provider != PASSPHRASE_PROVIDER
        else "",
    ]


def _personal(option: str, url: str) -> str:
    if "profile" not in parse_qs(urlsplit(url).query):
        return ""
    return f"{option} {url}: names a profile of yours, and colleagues have others; remove it, set AWS_PROFILE"


def _arguments(argv: Sequence[str]) -> Wanted:
    parser = argparse.ArgumentParser(prog="scripts/init", epilog=_EXAMPLE)
    parser.add_argument("stack", help="name of the stack, whose file is stacks/Pulumi.STACK.yaml")
    parser.add_argument("--backend", required=True, metavar="URL", help="where state is kept")
    parser.add_argument("--secrets-provider", required=True, metavar="URL", help="what encrypts secrets")
    given = parser.parse_args(argv)
    return Wanted(given.stack, given.backend, given.secrets_provider)


def _select(wanted: Wanted) -> None:
    command = ["pulumi", "stack", "select", "--create", "--stack", wanted.stack, "--non-interactive"]
    environ = {**os.environ, "PULUMI_BACKEND_URL": wanted.backend}
    subprocess.run(
        [*command, "--secrets-provider", wanted.provider],
        env=environ,
        stdout=subprocess.DEVNULL,
        check=True,
    )


def main(argv: Sequence[str]) -> int:
    """Return the exit status: 2 for what cannot be meant, 1 where the backend or the key cannot be used."""
    wanted = _arguments(argv)
    try:
        path = stack_file(wanted.stack)
        settings = read_stack_file(path)
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        against = problems(wanted, settings, document, before(os.environ))
    except StackFileError as error:
        against = [error.of(wanted.stack)]
    if against:
        print(*against, "nothing was changed", sep="\n", file=sys.stderr)
        return 2
    try:
        _select(wanted)
    except subprocess.CalledProcessError:
        print(
            f"nothing was recorded: {wanted.backend} or {wanted.provider} cannot be used from here; the "
            "bucket and the key must exist, and your credentials be allowed to use them (docs/state.md)",
            file=sys.stderr,
        )
        return 1
    record(wanted.backend)
    here = ", which no other machine sees" if kept_on_this_machine(wanted.backend) else ""
    print(f"state      {wanted.backend}  in Pulumi.yaml{here}")
    print(f"secrets    {wanted.provider}  in {path}")
    print(f"keep       git add Pulumi.yaml {path}")
    print(f"next       scripts/up {wanted.stack}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
