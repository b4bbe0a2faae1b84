"""The stack file's `runtime`: where Dynamo, vLLM, NATS and etcd come from on the nodes."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from settings.section import Argument, Folder, Section, wrong

_IMAGE: Final = re.compile(
    r"[a-z0-9]([a-z0-9._:/-]*[a-z0-9])?(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def _url(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid or re.search(r"\s", url):
        raise wrong("expected a URL of http or https, such as https://packages.example.org/simple")
    if parts.username is not None or parts.password is not None:
        raise wrong("a URL may not hold a user or password: put them into ~/.netrc on the nodes, remove them")
    return url


def _image(name: str) -> str:
    if not _IMAGE.fullmatch(name):
        raise wrong("expected an image such as registry.example.org/vllm-runtime:1.6.0 or …@sha256:…")
    return name


def _sha256(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise wrong("expected a SHA-256 checksum: 64 of 0-9 and a-f, as `sha256sum` prints it")
    return text


Url = Annotated[Argument, AfterValidator(_url)]


class StoreDownload(Section):
    """An archive (tar) that holds the program."""

    url: Url = Field(description="where it is", examples=["https://mirror.example.org/etcd-v3.6.14.tar.gz"])
    sha256: Annotated[str, AfterValidator(_sha256)] = Field(description="its checksum")


class StoresSettings(Section):
    """Where NATS and etcd come from on the head."""

    source: Literal["bundled", "distribution", "release"] = Field(
        default="bundled",
        description="`bundled`: of the package index, its etcd for tests only; `distribution`: on PATH, on "
        "Debian installed when missing; `release`: official releases, checked",
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
    path: Folder = Field(
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
