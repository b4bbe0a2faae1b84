"""Whatever a shell or a host is set to, nodectl and services have the same environment."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nodectl.common import surroundings
from nodectl.common.layout import MARKER, Layout
from nodectl.runtime.container import Container
from nodectl.supervisors import launch, unitfile
from nodectl.supervisors.supervisor import Unit
from tests.shells import PROXY_NAMES, hostile_to_installs

PROJECT = Path(__file__).parents[4]
CLEAN = {"HOME": "/home/me", "PATH": os.defpath, "USER": "me", "LOGNAME": "me"}
SHOW = """
import json, os
from nodectl.common import surroundings
surroundings.settle(umask={umask})
print(json.dumps([dict(os.environ), os.umask(0)]))
"""


def settled(shell: dict[str, str], umask: int, wanted: int) -> Any:
    """Return the environment and the umask of what starts in a shell."""
    code = f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n" + SHOW.format(umask=wanted)
    ran = subprocess.run(
        [sys.executable, "-I", "-c", code], env=shell, umask=umask, capture_output=True, text=True, check=True
    )
    return json.loads(ran.stdout)


@pytest.mark.parametrize("wanted", [0o022, 0o077])
def test_nothing_of_the_shell_reaches_what_nodectl_starts(tmp_path: Path, wanted: int) -> None:
    shell = hostile_to_installs(tmp_path, "http://127.0.0.1:9")
    clean = settled(CLEAN, 0o022, wanted)
    assert clean[1] == wanted
    assert clean[0] == {**CLEAN, "LANG": "C.UTF-8", "PYTHONPATH": str(PROJECT), "PYTHONSAFEPATH": "1"}
    for umask in (0, 0o777):
        assert settled({**shell, **CLEAN}, umask, wanted) == clean


SOURCES = {
    "AWS_PROFILE": "me",
    "HF_ENDPOINT": "https://hub.example.org",
    "PIP_INDEX_URL": "https://packages.example.org/simple",
    "SSL_CERT_FILE": "/etc/ca.pem",
    "UV_DEFAULT_INDEX": "https://packages.example.org/simple",
    "UV_INDEX_INTERNAL_PASSWORD": "x",
}


def test_where_a_machine_has_packages_from_and_whom_it_trusts_is_its_own_affair() -> None:
    assert settled(CLEAN | SOURCES, 0o022, 0o022)[0].items() >= SOURCES.items()


def test_services_have_none_of_it(tmp_path: Path) -> None:
    shell = hostile_to_installs(tmp_path, "http://127.0.0.1:9") | SOURCES | CLEAN
    one = launch.Launch(["/env/bin/python", "-m", "dynamo.vllm"], {"A": "1"}, [], [], 1, None)
    found = launch.environment(one, Layout.at(tmp_path), shell | {MARKER: "/node", "LANG": "C.UTF-8"})
    path = f"/env/bin:{os.defpath}"
    assert found == CLEAN | {
        "PATH": path,
        "A": "1",
        MARKER: "/node",
        "LANG": "C.UTF-8",
        "PYTHONSAFEPATH": "1",
    }


def test_what_a_role_is_given_reaches_its_services_all_the_same(tmp_path: Path) -> None:
    given = {"HTTPS_PROXY": "http://proxy.example.org:3128", "LANG": "de_DE.UTF-8"}
    one = launch.Launch(["/env/bin/python", "-m", "dynamo.vllm"], given, [], [], 1, None)
    assert launch.environment(one, Layout.at(tmp_path), CLEAN).items() >= given.items()
    inside = Container(program="podman", options=[], image="dynamo:1", name="x")
    contained = launch.command(launch.Launch(one.argv, given, [], [], 1, None, container=inside))
    proxies = {word for word in contained if "_proxy=" in word.lower()}
    assert "--env=HTTPS_PROXY=http://proxy.example.org:3128" in proxies
    assert {f"--env={name}=" for name in PROXY_NAMES if name != "HTTPS_PROXY"} <= proxies


def unset(text: str) -> set[str]:
    return {
        name for line in re.findall(r"^UnsetEnvironment=(.*)$", text, re.MULTILINE) for name in line.split()
    }


def test_units_unset_what_a_hosts_systemd_may_be_set_to() -> None:
    owner = unitfile.Owner("stack", "node", Path("/node"), "me", [], {"HOME": "/node/home"})
    for contained in (True, False):
        found = unset(unitfile.text(owner, "a", Unit(("/env/bin/python",), 1, contained=contained)))
        assert found >= {*PROXY_NAMES, "no_proxy", "NO_PROXY", "PYTHONHOME", "LD_PRELOAD", "PYTHONWARNINGS"}
        assert not found & {"HOME", "PYTHONPATH"}


def test_the_launcher_of_hosts_unsets_the_same_before_python_starts() -> None:
    text = (PROJECT / "nodectl" / "run").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^unset (.*?)(?:#.*)?$", text, re.MULTILINE)
    assert lines[0].split() == list(surroundings.BEFORE_US)


@pytest.mark.parametrize("verb", ["--help", "install", "status"])
def test_a_local_node_imports_nothing_from_the_shells_folders(tmp_path: Path, verb: str) -> None:
    shell = hostile_to_installs(tmp_path, "http://127.0.0.1:9") | CLEAN
    ran = subprocess.run(
        [sys.executable, "-I", "nodectl/start.py", verb, *(["--help"] if verb != "--help" else [])],
        cwd=PROJECT,
        env=shell,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "usage: nodectl" in ran.stdout + ran.stderr
    assert "the wrong module" not in ran.stderr


def test_a_proxy_is_for_installs_alone_and_gone_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXY_NAMES, "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    with surroundings.proxied(None, "http://proxy.example.org:3128", [".example.org", "10.0.0.0/8"]):
        made = {name: value for name, value in os.environ.items() if name not in before}
    assert dict(os.environ) == before
    direct = "localhost,127.0.0.1,::1,169.254.169.254,.example.org,10.0.0.0/8"
    assert made == {
        "https_proxy": "http://proxy.example.org:3128",
        "HTTPS_PROXY": "http://proxy.example.org:3128",
        "no_proxy": direct,
        "NO_PROXY": direct,
    }
    with surroundings.proxied(None, None, []):
        assert dict(os.environ) == before
