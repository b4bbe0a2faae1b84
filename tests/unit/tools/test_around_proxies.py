"""A proxy in the operator's shell is in the way of nothing that Pulumi's engine and its programs say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.toolchain import loopback, shell

ALL = "localhost,127.0.0.1,127.0.0.0/8,::1"
PROXY = "http://proxy.example.org:3128"
NAMES = [f"{scheme}_proxy" for scheme in ("all", "grpc", "http", "https")]
LEADING = [*NAMES, *map(str.upper, NAMES)]


@pytest.mark.parametrize("name", LEADING)
@pytest.mark.parametrize(
    ("theirs", "exceptions"),
    [
        ({}, ALL),
        ({"NO_PROXY": ".example.org, 10.0.0.1"}, f".example.org,10.0.0.1,{ALL}"),
        ({"no_proxy": "127.0.0.1"}, "127.0.0.1,localhost,127.0.0.0/8,::1"),
        ({"no_proxy": "", "NO_PROXY": "a"}, f"a,{ALL}"),
    ],
)
def test_the_shell_leaves_loopback_out_of_every_proxy(
    name: str, theirs: dict[str, str], exceptions: str
) -> None:
    shown = shell.script({"PATH": "/bin", "HOME": "/nowhere", name: PROXY, **theirs}, "local")
    for spelling in ("NO_PROXY", "no_proxy"):
        assert f"export {spelling}={exceptions}\n" in shown.replace("'", "")


def test_a_shell_without_a_proxy_is_left_alone() -> None:
    there = {"http_proxy": PROXY, "no_proxy": ALL, "NO_PROXY": ALL}
    for theirs in ({}, {"http_proxy": ""}, {"NO_PROXY": "a"}, there):
        assert loopback.around_proxies(theirs) == {}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Stand in for Pulumi's own program: print the environment and arguments."""
    path = tmp_path / "pulumi-language-python-exec"
    path.write_text("import json, os; print(json.dumps(dict(os.environ)))", encoding="utf-8")
    return path


def began(script: Path, **env: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(
        subprocess.run(
            [sys.executable, script], env={"PATH": "/bin", **env}, capture_output=True, text=True, check=True
        ).stdout
    )
    return {name: value for name, value in found.items() if "PROXY" in name.upper()}


def test_a_program_of_plain_pulumi_begins_without_the_proxy_and_knows_it(host: Path) -> None:
    loopback.place(Path(sys.prefix))
    begun = began(host, http_proxy=PROXY)
    assert begun == {"http_proxy": PROXY, "NO_PROXY": ALL, "no_proxy": ALL, loopback.MARK: "http_proxy"}
    assert loopback.MARK not in began(host, http_proxy=PROXY, no_proxy="127.0.0.1")
    assert began(host) == {}


def test_no_other_program_is_changed(host: Path) -> None:
    other = host.rename(host.with_name("something-else"))
    assert began(other, http_proxy=PROXY) == {"http_proxy": PROXY}
