"""Services as systemd's units: their text, their states, and which folders are whose."""

import subprocess
import time
from pathlib import Path

import pytest

from nodectl.common.errors import BadInputError
from nodectl.common.layout import Layout
from nodectl.host import release_collection
from nodectl.services import supervision
from nodectl.supervisors import systemd, unitfile
from nodectl.supervisors.supervisor import State, Unit

PROJECT = Path(__file__).parents[4]


def owner(stack: str = "prod.eu", node: str = "node-1", root: str = "/srv/n") -> unitfile.Owner:
    return unitfile.Owner(stack, node, Path(root), "someone", [Path("/srv/n/data")], {"A": "b"})


def shown(active: str, sub: str, *, name: str = "dynamo.prod.eu.node-1.etcd.service", pid: int = 0) -> str:
    return (
        f"MainPID={pid}\nNRestarts=2\nExecMainStartTimestampMonotonic=4000000\nId={name}\n"
        f"LoadState=loaded\nActiveState={active}\nSubState={sub}\n"
    )


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("plain", '"plain"'),
        ("a b", '"a b"'),
        ("50%", '"50%%"'),
        ("$HOME", '"$$HOME"'),
        ('say "no"', r'"say \"no\""'),
        ("back\\slash", r'"back\\slash"'),
        ("two\nlines", r'"two\x0alines"'),
        (";", '";"'),
        ("", '""'),
        ("ünï 日本", '"ünï 日本"'),
    ],
)
def test_arguments_are_written_so_that_systemd_takes_them_as_they_are(word: str, written: str) -> None:
    text = unitfile.text(owner(), "etcd", Unit(("/bin/x", word), 5))
    assert f'ExecStart="/bin/x" {written}\n' in text


def test_environment_is_quoted_and_knows_no_variables() -> None:
    of = unitfile.Owner("s", "n", Path("/r"), "u", [], {"A": 'a "$B" 5% \n'})
    assert r'Environment="A=a \"$B\" 5%% \x0a"' in unitfile.text(of, "etcd", Unit(("/bin/x",), 5))


def test_a_unit_gets_the_time_that_its_service_may_take_to_stop() -> None:
    assert "\nTimeoutStopSec=95\n" in unitfile.text(owner(), "decode-0", Unit(("/bin/x",), 95))


def test_services_wait_at_boot_for_what_puts_back_what_they_start_from() -> None:
    of = unitfile.Owner("s", "n", Path("/r"), "u", [], {}, after=[unitfile.CACHE_UNIT])
    text = unitfile.text(of, "decode-0", Unit(("/bin/x",), 5), ["dynamo.s.n.etcd.service"])
    cache = "dynamo-multinode-cache.service"
    assert f"\nAfter=network-online.target {cache} dynamo.s.n.etcd.service\n" in text
    assert cache not in unitfile.text(owner(), "decode-0", Unit(("/bin/x",), 5))


@pytest.mark.parametrize("root", ["/srv/two\nlines", "/srv/end ", "/srv/end\\"])
def test_a_folder_that_no_unit_can_name_is_refused(root: str) -> None:
    with pytest.raises(BadInputError, match="cannot be written in a unit file"):
        unitfile.text(owner(root=root), "etcd", Unit(("/bin/x",), 5))


@pytest.mark.parametrize(("stack", "node"), [("a b", "n"), ("s", "n.1"), ("s", ""), ("s*", "n"), ("é", "n")])
def test_a_stack_or_node_that_no_unit_can_be_named_after_is_refused(stack: str, node: str) -> None:
    with pytest.raises(BadInputError, match="--root: /srv/n names no units"):
        owner(stack, node)


@pytest.mark.parametrize(
    ("unit", "service"),
    [
        ("dynamo.prod.eu.node-1.etcd.service", "etcd"),
        ("dynamo.prod.eu.node-1.decode-0.service", "decode-0"),
        ("dynamo.prod.eu.node-1.x.etcd.service", None),  # node x of stack prod.eu.node-1
        ("dynamo.prod.eu.node-12.etcd.service", None),
        ("dynamo.prod.node-1.etcd.service", None),
        ("dynamo.prod.eu.node-1..service", None),
        ("ssh.service", None),
    ],
)
def test_a_node_knows_its_units_from_those_of_others(unit: str, service: str | None) -> None:
    assert owner().service(unit) == service


@pytest.mark.parametrize(
    ("active", "sub", "name"),
    [
        ("active", "running", "running"),
        ("activating", "start-pre", "starting"),
        ("activating", "auto-restart", "backoff"),
        ("inactive", "dead-before-auto-restart", "backoff"),
        ("deactivating", "stop-sigterm", "stopping"),
        ("failed", "failed", "fatal"),
        ("inactive", "dead", "stopped"),
    ],
)
def test_systemds_states_are_told_in_the_words_of_all_supervisors(active: str, sub: str, name: str) -> None:
    assert systemd.states(shown(active, sub), owner(), 10)["etcd"].name == name


def test_process_uptime_and_restarts_of_a_running_unit_are_told() -> None:
    found = systemd.states(shown("active", "running", pid=7), owner(), now=10.5)
    assert found == {"etcd": State("running", pid=7, uptime=6, restarts=2)}


def test_units_of_others_and_units_that_are_gone_are_no_services() -> None:
    gone = shown("inactive", "dead").replace("loaded", "not-found")
    other = shown("active", "running", name="dynamo.prod.eu.node-1.x.etcd.service")
    assert systemd.states("\n".join([gone, other]), owner(), 10) == {}
    assert systemd.states("", owner(), 10) == {}


@pytest.mark.parametrize(
    ("root", "kind"),
    [
        ("/var/lib/dynamo-multinode/prod/node-1", "Systemd"),
        ("/var/lib/dynamo-multinode/prod", "Supervisord"),
        ("/home/me/dynamo/.run/local/node-1", "Supervisord"),
    ],
)
def test_hosts_are_told_from_local_nodes_by_their_folder(root: str, kind: str) -> None:
    assert type(supervision.supervisor(Layout.at(root))).__name__ == kind


@pytest.fixture
def opt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Releases: `mine` runs this, `old` is of no use, `young` was just put there.

    A service's unit names `named`, a unit of the host `watching`.
    """
    folder = tmp_path / "opt"
    for name in ("mine", "named", "old", "watching", "young"):
        (folder / name / "nodectl").mkdir(parents=True)
    unit = tmp_path / "dynamo.s.n.etcd.service"
    unit.write_text(f'Environment="PYTHONPATH={folder / "named"}"')
    monkeypatch.setattr(release_collection, "FOLDER", folder)
    monkeypatch.setattr(release_collection, "CODE", folder / "mine")
    watch = tmp_path / "dynamo-multinode-watch.service"
    watch.write_text(f"ExecStart={folder / 'watching'}/nodectl/run")
    monkeypatch.setattr(release_collection, "unit_files", lambda: [unit])
    monkeypatch.setattr(release_collection, "host_units", lambda: [watch])
    monkeypatch.setattr(release_collection, "_is_settled", lambda release: release.name != "young")
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_an_apply_keeps_the_releases_that_are_used_or_new(opt: Path) -> None:
    release_collection.collect()
    assert names(opt) == {"mine", "named", "watching", "young"}


def test_a_removed_node_takes_its_release_along_unless_a_unit_names_it(opt: Path) -> None:
    release_collection.collect(leaving=True)
    assert names(opt) == {"named", "watching", "young"}


def test_a_release_that_a_process_runs_from_is_kept(opt: Path) -> None:
    runs = subprocess.Popen(["sleep", "60"], env={"PYTHONPATH": str(opt / "old")})
    try:
        while b"sleep" not in Path(f"/proc/{runs.pid}/cmdline").read_bytes():
            time.sleep(0.01)
        release_collection.collect()
        assert "old" in names(opt)
    finally:
        runs.kill()
        runs.wait()


def test_the_last_node_leaves_no_release(opt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_collection, "unit_files", list)
    monkeypatch.setattr(release_collection, "host_units", list)
    release_collection.collect(leaving=True, nodes=False)
    assert not opt.exists()


def test_a_checkout_is_no_release(opt: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(release_collection, "CODE", tmp_path)
    release_collection.collect(leaving=True, nodes=False)
    assert names(opt) == {"mine", "named", "old", "watching", "young"}
