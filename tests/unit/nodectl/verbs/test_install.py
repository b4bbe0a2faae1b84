"""Installing on a node: what is refused, what is made once, and what survives a kill. A fake uv stands in."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nodectl.common.errors import NodectlError
from nodectl.contract import codec
from nodectl.contract.runtime import Lifetime, ModelSource
from nodectl.host import lifetime, nvme, sandbox
from nodectl.runtime import cache, generated_model
from nodectl.verbs import install
from tests.hub_server import Hub, serving
from tests.install_specs import spec

pytestmark = pytest.mark.timeout(60)

PROJECT = Path(__file__).parents[4]
SPEC = codec.encode(spec())

FAKE_UV = """#!/bin/sh
case "$1 $2" in
"--version ") exit 0 ;;
"venv --clear")
    for folder; do :; done
    mkdir -p "$folder/bin"
    printf '#!/bin/sh\\nexec "{python}" "$@"\\n' >"$folder/bin/python"
    chmod 755 "$folder/bin/python"
    ;;
"pip sync")
    echo sync >>"{folder}/syncs"
    [ "$(wc -l <"{folder}/syncs")" != 1 ] || [ ! -p "{folder}/gate" ] || read -r _ <"{folder}/gate"
    [ ! -e "{folder}/broken" ] || {{ echo "no such wheel: ai-dynamo" >&2; exit 2; }}
    ;;
esac
"""


class Machine:
    """A machine with nothing installed but a uv that only pretends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache" / "dynamo-multinode"
        self.gate = folder / "gate"
        programs = folder / "bin"
        programs.mkdir()
        uv = programs / "uv"
        uv.write_text(FAKE_UV.format(python=sys.executable, folder=folder))
        uv.chmod(0o755)
        self._env = os.environ | {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }

    def start(self, spec: object = SPEC) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "nodectl", "install"],
            cwd=PROJECT,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(spec if isinstance(spec, str) else json.dumps(spec))
        process.stdin.close()
        process.stdin = None
        return process

    def install(self, spec: object = SPEC) -> tuple[int, Any, str]:
        """Return exit code, what was printed (JSON, if anything), and what was said."""
        process = self.start(spec)
        out, said = process.communicate()
        return process.returncode, json.loads(out) if out else None, said

    def syncs(self) -> int:
        """Return how often packages were installed."""
        file = self.folder / "syncs"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def close_gate(self) -> None:
        """Make the first installation of packages wait for a line in `gate`."""
        os.mkfifo(self.gate)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_second_install_finds_everything_in_place(machine: Machine) -> None:
    code, first, _ = machine.install()
    assert code == 0
    assert not first["cached"]
    code, second, said = machine.install()
    assert (code, said) == (0, "")
    assert second == first | {"cached": True}
    assert Path(second["python"]).is_file()
    assert (Path(second["model"]) / "tokenizer.json").is_file()
    assert machine.syncs() == 1


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("", "expected a runtime spec as JSON"),
        ("[]", "expected a JSON object, got list"),
        (SPEC | {"modle": {}}, "modle: unknown key"),
        ("[" * 100_000, "expected a runtime spec as JSON"),
        (
            SPEC | {"variant": []},
            "variant: [] is unknown; use one of",
        ),
        (
            SPEC | {"variant": "tpu"},
            'variant: "tpu" is unknown; use one of',
        ),
        ({"variant": "mocker", "lock": "x"}, "model: missing"),
        (
            SPEC | {"model": {"kind": "ftp", "name": "x"}},
            'model.kind: "ftp" is unknown; use one of',
        ),
        (
            SPEC | {"model": {"kind": "generated", "name": "../x"}},
            'model.name: "../x" names no folder',
        ),
        (
            SPEC | {"model": {"kind": "path", "name": "/none"}},
            "model.name: /none holds no config.json",
        ),
        (
            SPEC | {"model": {"kind": "hub", "name": "--token"}},
            'model.name: "--token" is no model id',
        ),
    ],
)
def test_a_bad_spec_is_refused_by_key_and_value(machine: Machine, spec: object, told: str) -> None:
    code, out, said = machine.install(spec)
    assert (code, out) == (2, None)
    assert told in said
    assert "Traceback" not in said
    assert not machine.cache.exists()


def test_a_machine_without_engines_gets_no_model_where_that_is_said(machine: Machine) -> None:
    code, out, said = machine.install(SPEC | {"model": None})
    assert (code, out["model"]) == (0, None), said
    assert not (machine.cache / "models").exists()
    code, out, _ = machine.install(SPEC | {"model": None})
    assert out["cached"]


def test_a_failed_install_shows_its_last_lines_and_is_made_anew(machine: Machine) -> None:
    (machine.folder / "broken").touch()
    code, out, said = machine.install()
    assert (code, out) == (1, None)
    assert "no such wheel: ai-dynamo" in said
    log = said.rstrip().rpartition("more: cat ")[2]
    assert "no such wheel" in Path(log).read_text()
    (machine.folder / "broken").unlink()
    assert machine.install()[0] == 0


def test_two_installs_at_once_install_once(machine: Machine) -> None:
    machine.close_gate()
    both = machine.start(), machine.start()
    machine.gate.write_text("\n")
    results = [json.loads(process.communicate()[0]) for process in both]
    assert sorted(result["cached"] for result in results) == [False, True]
    assert machine.syncs() == 1


def test_an_install_waits_for_what_a_killed_one_left_running(machine: Machine) -> None:
    machine.close_gate()
    killed = machine.start()
    with machine.gate.open("w") as orphan:
        killed.kill()
        later = machine.start()
        assert later.stderr is not None
        assert "waiting for another install" in later.stderr.readline()
        assert machine.syncs() == 1
        orphan.write("\n")
    assert not json.loads(later.communicate()[0])["cached"]
    assert machine.syncs() == 2
    assert machine.install()[1]["cached"]
    killed.communicate()


def test_the_generated_model_is_the_same_everywhere(tmp_path: Path) -> None:
    generated_model.write(tmp_path)
    digest = hashlib.sha256()
    for file in sorted(tmp_path.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    assert digest.hexdigest() == "2d15c686f0230bb3f46b78d0de6e637fc00c9520adb7bd552b315fdb142dc973", (
        "raise tinymodel.VERSION when the model changes"
    )


def test_a_model_that_was_cut_short_is_written_anew(machine: Machine) -> None:
    _, out, _ = machine.install()
    whole = Path(out["model"])
    expected = {file.name: file.read_bytes() for file in whole.iterdir()}
    partial = whole.with_name(f".{whole.name}.partial")
    whole.rename(partial)
    (partial / "model.safetensors").write_bytes(b"half")
    assert machine.install()[0] == 0
    assert {file.name: file.read_bytes() for file in whole.iterdir()} == expected


def test_the_hub_token_opens_a_gated_model_and_is_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    model = {"kind": "hub", "name": "gated/model"}
    files = {"gated/model": {"config.json": b"{}"}}
    with serving(Hub(files, gated={"gated/model": "hf_planted"})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        machine = Machine(tmp_path)
        refused = machine.install({**SPEC, "model": model, "secrets": {"HF_TOKEN": "hf_other"}})
        code, done, told = machine.install({**SPEC, "model": model, "secrets": {"HF_TOKEN": "hf_planted"}})
    assert refused[0] == 1
    assert "gated/model" in refused[2]
    assert code == 0, told
    assert Path(done["model"], "config.json").read_bytes() == b"{}"
    assert "hf_planted" not in told
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if b"hf_planted" in path.read_bytes()]


def test_a_full_disk_is_refused_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0.3e9))
    with pytest.raises(NodectlError, match=r"mocker environment takes 0\.8 GB .* has 0\.3 GB free"):
        install.provide(spec())


def test_a_python_without_pip_is_told_what_to_install(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    ran = subprocess.run(
        [bare / "bin/python", "-S", "-m", "nodectl", "install"],  # as on hosts
        cwd=PROJECT,
        env={"PATH": "/nowhere", "XDG_CACHE_HOME": str(tmp_path)},
        input=json.dumps(SPEC),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "has no pip, and there is no uv; install one of them" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.fixture
def host_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A host's cache, open to all users as pytest's folders are not; it holds the environment already."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("XDG_CACHE_HOME", folder)
        own = Path(folder, "dynamo-multinode")
        monkeypatch.setattr(install, "HOST_CACHE", own)
        monkeypatch.setattr(sandbox, "check_readable", lambda _: None)  # systemd is the lab's
        programs = cache.environment("mocker") / "bin"
        programs.mkdir(parents=True)
        (programs / "python").touch()
        (programs.parent / ".complete").touch()
        yield own


def test_what_services_cannot_read_is_told_with_its_cause(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        model = Path(folder, "model", "config.json")
        model.parent.mkdir()
        model.touch()
        Path(folder).chmod(0o700)
        assert sandbox.why_unreadable(model) == (
            f"since {folder} is closed to other users (mode 700); open it, or have the file elsewhere"
        )
        Path(folder).chmod(0o755)
        assert "since each of them has /tmp for itself" in sandbox.why_unreadable(model)
    assert "user dynamo-multinode may" in sandbox.why_unreadable(Path("/etc/passwd"))


def test_a_hosts_lifetime_holds_whatever_fails_after_it(
    host_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[object] = []
    monkeypatch.setattr(lifetime, "keep", kept.append)
    monkeypatch.setattr(nvme, "ensure", lambda *_: pytest.fail("the disk is broken"))
    an_hour = Lifetime(minutes=60, warn_minutes=10)
    with pytest.raises(pytest.fail.Exception, match="the disk is broken"):
        install.provide(spec(cache="nvme", lifetime=an_hour))
    with pytest.raises(NodectlError, match=r"holds no config\.json"):
        install.provide(spec(model=ModelSource(kind="path", name="/no/such"), lifetime=an_hour))
    assert kept == [an_hour, an_hour]


def test_a_host_that_got_another_python_keeps_the_environment_that_it_has(host_cache: Path) -> None:
    mine = cache.environment("mocker")
    other = cache.environment("mocker", next(p for p in cache.PYTHONS if p != sys.version_info[:2]))
    assert cache.installed_python("mocker") == mine / "bin/python"
    mine.rename(other)
    assert cache.installed_python("mocker") == other / "bin/python"
    other.rename(mine.with_name("elsewhere"))
    with pytest.raises(NodectlError, match="`nodectl install` makes it"):
        cache.installed_python("mocker")
