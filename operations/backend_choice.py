"""Backend and secrets provider of a stack: checked and recorded once for everybody who works on it.

The backend is written into Pulumi.yaml, which Pulumi itself reads, and the secrets provider into the stack
file, where Pulumi keeps it: both belong in version control, and a fresh clone needs neither this script nor a
login.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from nodectl.common.redaction import holds_secret, names_secret, redacted
from planning.aws.state import kept_on_this_machine, local_state
from planning.aws.target import aws_target
from program.backend import recorded
from settings import Settings
from settings.encrypted import PASSPHRASE
from settings.loader import stack_file
from tools.toolchain.shell import SALT

BACKENDS: Final = ("s3", "gs", "azblob", "https", "http", "file")
PROVIDERS: Final = ("awskms", "gcpkms", "azurekeyvault", "hashivault")
CLOUD: Final = ("https", "http")
PASSPHRASE_PROVIDER: Final = "passphrase"  # noqa: S105 -- names no password
CLOUD_PROVIDER: Final = "default"

EXAMPLE: Final = (
    'for example: scripts/init disagg --backend "s3://team-state/dynamo?region=us-east-1" '
    '--secrets-provider "awskms://alias/dynamo?region=us-east-1"'
)


@dataclass(frozen=True)
class RequestedBackend:
    """Backend and secrets provider that a stack is to have."""

    stack: str
    backend: str
    provider: str


def problems(
    desired: RequestedBackend, settings: Settings, document: Mapping[str, Any], environ: Mapping[str, str]
) -> list[str]:
    """Return everything that speaks against it, each with its remedy.

    `document` is the stack file, `environ` the user's own environment.
    """
    if settings.target.kind == "local":
        return [
            f"{desired.stack}: runs on this machine and keeps its state in the project; nothing to decide"
        ]
    messages = [
        *_of_backend(desired, settings, environ),
        *_of_provider(desired, environ),
        *_of_what_is_there(desired, document),
    ]
    return [text for text in messages if text]


def record(backend: str, project: Path = Path()) -> None:
    """Write the backend into Pulumi.yaml, whose comments and order stay."""
    path = project / "Pulumi.yaml"
    text = path.read_text(encoding="utf-8")
    if recorded(project) is None:
        path.write_text(f"{text.rstrip()}\nbackend:\n  url: {backend}\n", encoding="utf-8")


def _of_backend(desired: RequestedBackend, settings: Settings, environ: Mapping[str, str]) -> list[str]:
    url = urlsplit(desired.backend)
    if url.scheme not in BACKENDS or not (url.netloc or url.path.strip("/")):
        expected = "s3://BUCKET/FOLDER?region=REGION, gs://BUCKET, azblob://CONTAINER, https://api.pulumi.com"
        return [f"--backend {redacted(desired.backend)}: expected {expected} or file:///FOLDER; {EXAMPLE}"]
    env_backend = environ.get("PULUMI_BACKEND_URL")
    return [
        _personal("--backend", desired.backend),
        _secret("--backend", desired.backend),
        local_state(desired.backend, desired.stack) if _needs_sharing(desired.backend, settings) else "",
        f"PULUMI_BACKEND_URL: is {redacted(env_backend)}, which would be used in place of --backend; unset it"
        if env_backend and env_backend != desired.backend
        else "",
    ]


def _needs_sharing(backend: str, settings: Settings) -> bool:
    """Return whether the backend is of this machine alone, and what it would hold costs money."""
    target = aws_target(settings)
    return target is not None and not target.allow_local_state and kept_on_this_machine(backend)


def _of_provider(desired: RequestedBackend, environ: Mapping[str, str]) -> list[str]:
    provider, url = desired.provider, urlsplit(desired.provider)
    in_cloud = urlsplit(desired.backend).scheme in CLOUD
    if provider == CLOUD_PROVIDER:
        remedy = "only Pulumi Cloud has one; name a key, such as awskms://alias/dynamo?region=us-east-1"
        return [] if in_cloud else [f"--secrets-provider {provider}: {remedy}"]
    if provider == PASSPHRASE_PROVIDER:
        passphrase = environ.get("PULUMI_CONFIG_PASSPHRASE") or environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
        is_documented = passphrase in (None, "", PASSPHRASE)
        remedy = "set PULUMI_CONFIG_PASSPHRASE to one that all who work on the stack know, and nobody else"
        return [f"--secrets-provider {provider}: {remedy}"] if is_documented else []
    if url.scheme not in PROVIDERS or not (url.netloc or url.path.strip("/")):
        schemes = ", ".join(f"{scheme}://…" for scheme in PROVIDERS)
        expected = f"{schemes}, `{PASSPHRASE_PROVIDER}`, or with Pulumi Cloud `{CLOUD_PROVIDER}`"
        return [f"--secrets-provider {redacted(provider)}: expected {expected}; {EXAMPLE}"]
    lacks_region = url.scheme == "awskms" and "region" not in parse_qs(url.query)
    return [
        _personal("--secrets-provider", provider),
        _secret("--secrets-provider", provider),
        f"--secrets-provider {provider}: names no region, and each colleague may have another; "
        "add ?region=us-east-1"
        if lacks_region
        else "",
    ]


def _of_what_is_there(desired: RequestedBackend, document: Mapping[str, Any]) -> list[str]:
    backend, path = recorded(), stack_file(desired.stack)
    provider, salt = document.get("secretsprovider"), document.get("encryptionsalt")
    change = f'run: pulumi stack change-secrets-provider --stack {desired.stack} "{desired.provider}"'
    if salt == SALT:
        return [f"{path}: `encryptionsalt` is of the documented passphrase; remove that line"]
    return [
        f"Pulumi.yaml: the state of this project is kept at {backend}; write that, or move every stack with "
        "`pulumi stack export` and `import` and change `backend` there"
        if backend not in (None, desired.backend)
        else "",
        f"{path}: its secrets are encrypted by {provider}; {change}"
        if provider and provider != desired.provider
        else "",
        f"{path}: its secrets are encrypted with a passphrase; {change}"
        if salt and not provider and desired.provider != PASSPHRASE_PROVIDER
        else "",
    ]


def _personal(option: str, url: str) -> str:
    if "profile" not in parse_qs(urlsplit(url).query):
        return ""
    return f"{option} {url}: names a profile of yours, and colleagues have others; remove it, set AWS_PROFILE"


def _secret(option: str, url: str) -> str:
    """Refuse what would be written where everybody reads it."""
    query = parse_qs(urlsplit(url).query)
    if not holds_secret(url) and not any(map(names_secret, query)) and "sig" not in query:
        return ""
    return (
        f"{option}: holds a password or a token, and everybody reads the file that it is written to; remove "
        "it, and give it to Pulumi by the environment variables of its cloud"
    )
