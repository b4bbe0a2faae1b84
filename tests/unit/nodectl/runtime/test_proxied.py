"""Every kind of download goes through the stack file's proxy: real clients, names that only it finds."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from moto import settings
from moto.server import ThreadedMotoServer

from nodectl.common import programs, surroundings
from nodectl.contract.runtime import ModelSource, Packages, StoreRelease, Stores
from nodectl.runtime import environments, models, stores
from tests import hub_server
from tests.proxy_server import Proxy, forwarding
from tests.shells import PROXY_NAMES
from tests.unit.nodectl.runtime import package_index
from tests.unit.nodectl.runtime.test_install_sources import wheel
from tests.unit.nodectl.stub_programs import StubPrograms

pytestmark = pytest.mark.timeout(120)

PROJECT = Path(__file__).parents[4]
MODEL = "organisation/model"
NAMES = ("hub.invalid", "packages.invalid", "releases.invalid", "192.0.2.7")
"""Nobody but the proxy finds them: names and an address that are nowhere (RFC 2606, RFC 5737)."""

APT = """\
Dir "{folder}";
Dir::State::status "{folder}/root/var/lib/dpkg/status";
DPkg::Options {{ "--root={folder}/root"; "--log={folder}/dpkg.log"; "--force-not-root,bad-path"; }};
APT::Sandbox::User "root";
Acquire::http::Pipeline-Depth "0";
"""
"""A machine of its own for apt: its lists, locks and packages, and none of this machine's settings.

The user that apt becomes for downloads may not enter a test's folder, and the proxy answers one by one.
"""
APT_FOLDERS = (
    *(f"etc/apt/{name}" for name in ("apt.conf.d", "preferences.d", "sources.list.d")),
    *("var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/log/apt"),
    *("root/var/lib/dpkg/info", "root/var/lib/dpkg/updates"),
)

Download = Callable[[Callable[[], object]], None]


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in (*PROXY_NAMES, "no_proxy", "NO_PROXY", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{PROJECT}/.toolchain/bin{os.pathsep}{os.environ['PATH']}")
    with forwarding(Proxy({})) as found:
        yield found


def place(address: str) -> str:
    return address.removeprefix("http://")


def from_hub(folder: Path, proxy: Proxy, download: Download) -> None:
    hub = hub_server.Hub({MODEL: {"config.json": b"{}"}})
    with hub_server.serving(hub):
        proxy.names = {NAMES[0]: place(hub.address)}
        model = ModelSource(kind="hub", name=MODEL, endpoint=f"http://{NAMES[0]}")
        download(lambda: models.ensure(model, folder, Path(sys.executable), {}, time.monotonic() + 60))


def from_index(folder: Path, proxy: Proxy, download: Download) -> None:
    (folder / "wheels").mkdir()
    lock = folder / "lock.txt"
    lock.write_text(f"lonely==1.0 --hash=sha256:{wheel(folder / 'wheels', 'lonely', '1.0')}\n")
    packages = Packages(index=f"http://{NAMES[1]}/simple")
    with (
        package_index.serving(package_index.Index(folder / "wheels")) as index,
        pytest.MonkeyPatch.context() as m,
    ):
        m.setattr(environments, "lock_file", lambda _: lock)
        m.setenv("UV_CACHE_DIR", str(folder / "uv"))
        proxy.names = {NAMES[1]: place(index.address)}
        made = folder / "cache" / "env" / "node"
        download(lambda: environments.ensure("node", made, packages, time.monotonic() + 60))


def from_releases(folder: Path, proxy: Proxy, download: Download) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name in stores.PROGRAMS:
            tar.addfile(tarfile.TarInfo(f"release/{name}"), io.BytesIO())
    (folder / "files").mkdir()
    (folder / "files" / "all.tar.gz").write_bytes(content.getvalue())
    checksum = sha256(content.getvalue()).hexdigest()
    release = StoreRelease(url=f"http://{NAMES[2]}/files/all.tar.gz", sha256=checksum)
    spec = Stores(source="release", releases=dict.fromkeys(stores.PROGRAMS, release))
    with package_index.serving(package_index.Index(folder / "files")) as site:
        proxy.names = {NAMES[2]: place(site.address)}
        download(lambda: stores.ensure(spec, folder / "stores", time.monotonic() + 60))


def from_s3(folder: Path, proxy: Proxy, download: Download) -> None:
    import boto3

    settings.S3_IGNORE_SUBDOMAIN_BUCKETNAME = True  # else `192` of the address is taken for a bucket
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as m:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            m.setenv(name, "testing")
        m.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket="models")
        client.put_object(Bucket="models", Key="llama/config.json", Body=b"{}")
        m.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example.org")
        proxy.names = dict.fromkeys((NAMES[3], "s3.example.org"), f"{host}:{port}")
        source = ModelSource(kind="s3", name="s3://models/llama")
        download(lambda: models.ensure(source, folder, Path(sys.executable), {}, time.monotonic() + 60))
    server.stop()


def from_apt(folder: Path, proxy: Proxy, download: Download) -> None:
    if missing := [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]:
        pytest.skip(f"needs {' '.join(missing)} (a machine with Debian's packages)")
    repository = folder / "repository"
    repository.mkdir()
    (repository / "Packages").write_text(debian_package(folder, repository, "lonely"))
    for name in APT_FOLDERS:
        (folder / name).mkdir(parents=True)
    (folder / "etc/apt/sources.list").write_text(f"deb [trusted=yes] http://{NAMES[1]}/files ./\n")
    (folder / "root/var/lib/dpkg/status").touch()
    (folder / "apt.conf").write_text(APT.format(folder=folder))
    with package_index.serving(package_index.Index(repository)) as site, pytest.MonkeyPatch.context() as m:
        stubs = StubPrograms(folder / "stubs", m)
        for name in ("cloud-init", "systemctl"):  # this machine's own are left alone
            stubs.add(name)
        m.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{folder}/root/usr/bin")
        m.setenv("APT_CONFIG", str(folder / "apt.conf"))
        m.setattr("os.geteuid", lambda: 0)
        proxy.names = {NAMES[1]: place(site.address)}
        download(lambda: programs.ensure("lonely"))
        assert programs.find("lonely") == f"{folder}/root/usr/bin/lonely"


def debian_package(folder: Path, repository: Path, name: str) -> str:
    """Put a package of one program that does nothing into `repository`; return the entry of its list."""
    control = f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody\nDescription: {name}\n"
    tree = folder / "tree"
    for file, text in {"DEBIAN/control": control, f"usr/bin/{name}": "#!/bin/sh\n"}.items():
        (tree / file).parent.mkdir(parents=True)
        (tree / file).write_text(text)
    for path in (tree / "DEBIAN", tree / "usr/bin" / name):
        path.chmod(0o755)  # whatever the umask
    made = repository / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, made], check=True, capture_output=True)
    content = made.read_bytes()
    return f"{control}Filename: ./{made.name}\nSize: {len(content)}\nSHA256: {sha256(content).hexdigest()}\n"


@pytest.mark.parametrize(
    "kind", [from_hub, from_index, from_releases, from_s3, from_apt], ids=lambda kind: kind.__name__
)
def test_what_is_downloaded_comes_through_the_proxy(
    kind: Callable[[Path, Proxy, Download], None], tmp_path: Path, proxy: Proxy
) -> None:
    def download(start: Callable[[], object]) -> None:
        with surroundings.proxied(proxy.address, proxy.address, []):
            start()
        assert proxy.requests
        assert all(request.split("/")[2].partition(":")[0] in proxy.names for request in proxy.requests)

    (tmp_path / "models").mkdir()
    kind(tmp_path, proxy, download)


def test_what_the_stack_file_says_needs_no_proxy_gets_none(tmp_path: Path, proxy: Proxy) -> None:
    hub = hub_server.Hub({MODEL: {"config.json": b"{}"}})
    with (
        hub_server.serving(hub, "127.0.0.3"),
        surroundings.proxied(proxy.address, None, ["127.0.0.3"]),
    ):
        model = ModelSource(kind="hub", name=MODEL, endpoint=hub.address)
        models.ensure(model, tmp_path, Path(sys.executable), {}, time.monotonic() + 60)
    assert proxy.requests == []
