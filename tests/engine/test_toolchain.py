"""Sources of `scripts/bootstrap`'s tools, and effects of `scripts/env` on a shell; compiles nothing."""

import hashlib
import http.server
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import textwrap
import threading
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.engine.deployment.checkout import Checkout
from tools.toolchain import provider, pulumi, release
from tools.toolchain.common import PROJECT, ToolchainError
from tools.toolchain.release import Site

HOSTILE = 'it\'s a "folder" $(touch pwned) `touch pwned` ;& #é%20 ?'
ARCHIVE = f"pulumi-v{pulumi.VERSION}-linux-x64.tar.gz"
CHECKSUMS = f"pulumi-{pulumi.VERSION}-checksums.txt"
NOWHERE = "http://127.0.0.1:9"
"""The discard port: nobody listens."""


def clone(folder: Path, *, home: Path) -> Path:
    """Make a checkout with all that `scripts/env` needs, and the home of the user who made it."""
    (folder / "scripts").mkdir(parents=True)
    for script in ("scripts/bootstrap", "scripts/env", "scripts/script.bash"):
        shutil.copy(PROJECT / script, folder / script)
    for needed in ("tools/toolchain", "policy", "settings", "nodectl", "remote"):
        shutil.copytree(PROJECT / needed, folder / needed, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "program").mkdir()
    for module in ("program/__init__.py", "program/backend.py"):
        shutil.copy(PROJECT / module, folder / module)
    for tools in (".venv", ".toolchain/bin"):
        (folder / tools).parent.mkdir(exist_ok=True)
        (folder / tools).symlink_to(PROJECT / tools)
    home.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The user's home."""
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Path:
    """A clone in a folder whose name does its worst."""
    return clone(tmp_path / HOSTILE, home=home)


def shell(project: Path, home: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a shell's environment after `eval "$(scripts/env)"`; without `environ`, of a new login."""
    start = {"PATH": "/usr/bin:/bin"} if environ is None else environ
    completed = subprocess.run(
        ["bash", "-c", 'set -eu; eval "$("$1"/scripts/env)"; env -0', "bash", project],
        env={**start, "HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(variable.split("=", 1) for variable in completed.stdout.split("\0")[:-1])


def program(path: Path, body: str) -> Path:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{textwrap.dedent(body)}", encoding="utf-8")
    path.chmod(0o755)
    return path


def plugin(pulumi_home: Path) -> Path:
    """Return where a Pulumi home has the command provider."""
    return pulumi_home / f"plugins/resource-command-v{provider.VERSION}/pulumi-resource-command"


def test_every_pulumi_command_works_in_a_folder_of_any_name(project: Path, home: Path) -> None:
    for name in ("pyproject.toml", "uv.lock"):  # with these Pulumi leaves the environment as it is
        shutil.copy(PROJECT / name, project / name)
    runtime = {"name": "python", "options": {"toolchain": "uv", "virtualenv": ".venv"}}
    (project / "Pulumi.yaml").write_text(json.dumps({"name": "any", "runtime": runtime}), encoding="utf-8")
    (project / "__main__.py").write_text(
        'import pulumi\npulumi.export("word", pulumi.Config().require_secret("word"))\n', encoding="utf-8"
    )
    environ = {**shell(project, home), **{n: v for n, v in os.environ.items() if "CERT" in n}}
    interpreter = (PROJECT / ".venv/bin/python").resolve()
    for command in (
        "pulumi stack init s",
        "pulumi config set --secret --stack s word hush",
        "pulumi up --yes --skip-preview --stack s",
    ):
        subprocess.run(command.split(), cwd=project, env=environ, check=True, capture_output=True)
    shown = subprocess.run(
        ["pulumi", "stack", "output", "--stack", "s", "--show-secrets", "word"],
        cwd=project,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout == "hush\n"
    assert (PROJECT / ".venv/bin/python").resolve() == interpreter, "the environment is as it was made"
    assert list((project / ".state/.pulumi/stacks").rglob("s.json"))
    assert not list(project.parent.rglob("pwned"))


def test_a_second_eval_changes_nothing(project: Path, home: Path) -> None:
    first = shell(project, home)
    assert shell(project, home, first) == first


def test_a_shell_of_one_clone_moves_wholly_to_another(project: Path, home: Path, tmp_path: Path) -> None:
    other = clone(tmp_path / "other", home=home)
    moved = shell(other, home, shell(project, home))
    assert moved == shell(other, home)
    assert not [name for name, value in moved.items() if HOSTILE in value]


@pytest.mark.parametrize(
    ("variable", "record"),
    [
        ({"PULUMI_BACKEND_URL": "s3://theirs"}, None),
        ({"PULUMI_ACCESS_TOKEN": "theirs"}, None),
        ({}, {"current": "https://api.pulumi.com"}),
        ({}, {"$pulumiSecureStore": 1, "data": "…"}),
        ({"PULUMI_CREDENTIALS_PATH": "{home}/logins"}, {"current": "gs://theirs"}),
        ({"PULUMI_HOME": "{home}/logins"}, {"current": "gs://theirs"}),
    ],
)
def test_an_existing_login_is_respected(
    project: Path, home: Path, variable: dict[str, str], record: dict[str, object] | None
) -> None:
    variable = {name: value.format(home=home) for name, value in variable.items()}
    logins = home / ("logins" if variable and record else ".pulumi")
    logins.mkdir()
    if record:
        (logins / "credentials.json").write_text(json.dumps(record), encoding="utf-8")
    found = shell(project, home, {"PATH": "/usr/bin:/bin", **variable})
    assert found.get("PULUMI_BACKEND_URL") == variable.get("PULUMI_BACKEND_URL")
    assert found["PULUMI_CREDENTIALS_PATH"] == str(logins)
    assert not (project / ".state").exists()


@pytest.mark.parametrize("record", [None, "", "not JSON", '{"accessTokens": {}}'])
def test_without_a_login_state_is_kept_in_the_project(project: Path, home: Path, record: str | None) -> None:
    if record is not None:
        (home / ".pulumi").mkdir()
        (home / ".pulumi/credentials.json").write_text(record, encoding="utf-8")
    assert shell(project, home)["PULUMI_BACKEND_URL"].startswith("file://")
    assert (project / ".state").is_dir()


@pytest.mark.parametrize("name", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
@pytest.mark.parametrize("value", ["theirs", ""])
def test_a_passphrase_of_the_users_own_is_kept(project: Path, home: Path, name: str, value: str) -> None:
    found = shell(project, home, {"PATH": "/usr/bin:/bin", name: value})
    assert {n: v for n, v in found.items() if "PASSPHRASE" in n} == {name: value}


def test_the_official_provider_is_used_as_soon_as_it_is_there(project: Path, home: Path) -> None:
    before = shell(project, home)
    assert (
        plugin(Path(before["PULUMI_HOME"])).resolve() == project / "plugins/command/pulumi-resource-command"
    )

    official = program(plugin(home / ".pulumi"), "")
    unfinished = official.parent.with_name(f"{official.parent.name}.partial")
    unfinished.touch()
    assert shell(project, home, before) == before

    unfinished.unlink()
    after = shell(project, home, before)
    assert "PULUMI_HOME" not in after
    assert "PULUMI_CREDENTIALS_PATH" not in after


def test_a_provider_installed_into_this_project_is_left_alone(project: Path, home: Path) -> None:
    installed = plugin(Path(shell(project, home)["PULUMI_HOME"]))
    installed.unlink()
    program(installed, "exit 7")
    shell(project, home)
    assert subprocess.run([installed], check=False).returncode == 7


def test_a_shell_is_not_set_up_when_something_is_missing(project: Path, home: Path, tmp_path: Path) -> None:
    (project / ".venv").unlink()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "readlink", "env"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        shell(project, home, {"PATH": str(tools)})
    assert "no Python 3.11 to 3.13 on PATH; install one" in failed.value.stderr
    assert "Traceback" not in failed.value.stderr


def test_bootstraps_at_once_agree_and_change_nothing() -> None:
    def tools() -> dict[str, int]:
        return {str(link): link.lstat().st_ino for link in (PROJECT / ".toolchain/bin").iterdir()}

    before = tools()
    runs = [
        subprocess.Popen([PROJECT / "scripts/bootstrap"], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for run in runs:
        printed, _ = run.communicate(timeout=120)
        assert run.returncode == 0
        assert re.fullmatch(
            r"toolchain  pulumi \S+ \((cached|on PATH)\) · command provider \S+ \((official|offline)\)"
            r" · project environment \(cached\)",
            printed.splitlines()[-1],
        )
    assert tools() == before


def test_a_new_environment_holds_the_bytecode_of_what_runs_load(tmp_path: Path) -> None:
    checkout = Checkout.make(tmp_path)
    (tmp_path / ".venv").unlink()
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(["scripts/bootstrap"], cwd=checkout.path, env=environ, capture_output=True, check=True)
    [packages] = (tmp_path / ".venv/lib").glob("python3.*/site-packages")
    for module in ("pulumi_aws/ec2/_inputs", "pulumi_aws/iam/role", "pulumi_policy/policy", "boto3/session"):
        folder, name = (packages / module).parent, Path(module).name
        assert list((folder / "__pycache__").glob(f"{name}.*.pyc")), module


def test_the_pins_name_the_versions_of_the_sdks() -> None:
    wanted = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "dependencies"
    ]
    assert f"pulumi=={pulumi.VERSION}" in wanted
    assert f"pulumi-command=={provider.VERSION}" in wanted
    pins = (PROJECT / "tools/toolchain/cli/go.mod").read_text(encoding="utf-8")
    assert set(re.findall(r"github.com/pulumi/pulumi/(?:pkg|sdk)/v3 v(\S+)", pins)) == {pulumi.VERSION}


@pytest.mark.parametrize(
    ("version", "origin"),
    [("v3.259.0", "on PATH"), ("v3.300.1-dev.0", "on PATH"), ("v3.258.9", "cached"), ("v4.0.0", "cached")],
)
def test_a_cli_of_the_users_own_is_used_when_it_is_in_range(
    tmp_path: Path, version: str, origin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = program(tmp_path / "bin/pulumi", f"echo {version}")
    program(tmp_path / f"cache/pulumi/{pulumi.VERSION}/bin/pulumi", "")
    site = Site(tmp_path / "cache", pulumi.VERSION, NOWHERE)
    found = pulumi.ensure(tmp_path / "cache", str(own.parent), Path("uv"), site)
    assert found.origin == origin
    assert (found.program == own) == (origin == "on PATH")
    assert (str(own) in capsys.readouterr().out) == (origin == "cached")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def publish(folder: Path, *, digest: str | None = None) -> None:
    """Put a release of one program on a site, by default with its true checksum."""
    with tarfile.open(folder / ARCHIVE, "w:gz") as archive:
        member = tarfile.TarInfo("pulumi/pulumi")
        body = b"#!/bin/sh\necho released\n"
        member.size = len(body)
        archive.addfile(member, io.BytesIO(body))
    true = hashlib.sha256((folder / ARCHIVE).read_bytes()).hexdigest()
    (folder / CHECKSUMS).write_text(f"{digest or true}  {ARCHIVE}\n", encoding="utf-8")


def test_the_official_release_is_downloaded_where_it_can_be(tmp_path: Path, served: tuple[Path, str]) -> None:
    folder, url = served
    publish(folder)
    got = pulumi.ensure(tmp_path / "cache", "", Path("uv"), Site(tmp_path / "cache", pulumi.VERSION, url))
    assert got.origin == "downloaded"
    assert subprocess.run([got.program], capture_output=True, check=True).stdout == b"released\n"


def test_a_download_with_another_checksum_is_refused(tmp_path: Path, served: tuple[Path, str]) -> None:
    folder, url = served
    publish(folder, digest="0" * 64)
    with pytest.raises(ToolchainError, match="does not have its published checksum and was not used"):
        pulumi.ensure(tmp_path / "cache", "", Path("uv"), Site(tmp_path / "cache", pulumi.VERSION, url))
    assert not (tmp_path / "cache/pulumi" / pulumi.VERSION).exists()


def test_a_login_page_is_not_taken_for_the_release_site(tmp_path: Path, served: tuple[Path, str]) -> None:
    folder, url = served
    (folder / CHECKSUMS).write_text("<html>\nPlease log in to the guest network\n", encoding="utf-8")
    assert Site(tmp_path / "cache", pulumi.VERSION, url).digest() is None


def test_a_silent_site_is_given_up_and_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(10)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert Site(tmp_path, pulumi.VERSION, url).digest() is None
        silent.accept()[0].close()
        assert Site(tmp_path, pulumi.VERSION, url).digest() is None
        silent.settimeout(0)
        with pytest.raises(BlockingIOError):  # nobody called again
            silent.accept()


@pytest.mark.parametrize(
    ("install", "serves"), [("mkdir -p {folder} && touch {file}", "official"), ("exit 1", "offline")]
)
def test_the_official_provider_is_installed_where_it_can_be(
    tmp_path: Path, served: tuple[Path, str], install: str, serves: str
) -> None:
    folder, url = served
    publish(folder)
    site = Site(tmp_path / "cache", pulumi.VERSION, url)
    where = plugin(Path("$PULUMI_HOME"))
    cli = program(tmp_path / "pulumi", install.format(folder=where.parent, file=where))
    assert provider.ensure(cli, tmp_path / "home", site) == serves
    assert (site.digest() is None) == (serves == "offline")  # a source that failed is left alone for a while


def test_a_build_that_was_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    go = """
        case "$1" in
        env) echo go1.99.0 ;;
        list) echo {sdk} ;;
        build)
            if [ ! -e "$GOCACHE/compiled" ]; then
                mkdir -p "$GOCACHE" && touch "$GOCACHE/compiled" && kill -9 $PPID
            fi
            while [ "$1" != -o ]; do shift; done
            echo built > "$2" ;;
        esac
    """
    for script in ("cmd/pulumi-language-python-exec", "dist/pulumi-resource-pulumi-python"):
        program(tmp_path / "sdk/python" / script, "")
    program(tmp_path / "bin/go", go.format(sdk=tmp_path / "sdk"))
    cache = tmp_path / "cache"
    get = (
        "from pathlib import Path; from tools.toolchain import pulumi, release;"
        f"site = release.Site(Path({str(cache)!r}), pulumi.VERSION, {NOWHERE!r});"
        f"print(pulumi.ensure(Path({str(cache)!r}), '', Path('uv'), site).origin)"
    )

    def attempt() -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
        return subprocess.run(
            [sys.executable, "-c", get], cwd=PROJECT, env=environ, capture_output=True, text=True, check=False
        )

    assert attempt().returncode == -9
    assert not (cache / "pulumi" / pulumi.VERSION).exists()
    assert attempt().stdout.splitlines()[-1] == "built"
    assert sorted(path.name for path in (cache / "pulumi" / pulumi.VERSION / "bin").iterdir()) == [
        "pulumi",
        "pulumi-language-python",
        "pulumi-language-python-exec",
        "pulumi-resource-pulumi-python",
    ]
    assert [path.name for path in (cache / "pulumi").iterdir()] == [pulumi.VERSION]
