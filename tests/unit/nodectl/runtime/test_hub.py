"""A model from the hub, by its own client against a hub on loopback: what arrives, and what is refused."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nodectl.common.errors import NodectlError
from nodectl.contract.runtime import ModelSource
from nodectl.runtime import models
from tests.hub_server import COMMIT, Hub, serving

OPEN, GATED, PRIVATE = "organisation/open", "organisation/gated", "organisation/private"
TOKEN, OTHER, NOBODYS = "hf_with0access", "hf_without0access", "hf_of0nobody"
FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 4096, "original/params.json": b"[]"}
KEPT = {name: data for name, data in FILES.items() if not name.startswith("original/")}
OTHER_COMMIT = "f" * 40
SET = "`scripts/secret STACK huggingFaceToken`"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    found = Hub(
        dict.fromkeys((OPEN, GATED, PRIVATE), FILES),
        gated={GATED: TOKEN},
        private={PRIVATE: TOKEN},
        revisions={"main": COMMIT, "v2": OTHER_COMMIT},
        unknown_tokens=(NOBODYS,),
    )
    with serving(found):
        yield found


def ensure(
    hub: Hub, folder: Path, name: str = OPEN, token: str | None = None, **more: Any
) -> tuple[Path, bool]:
    """Provide a model as an install does; return its folder and whether it was there."""
    (folder / "models").mkdir(exist_ok=True)
    model = ModelSource(kind="hub", name=name, endpoint=hub.address, **more)
    secrets = {} if token is None else {"HF_TOKEN": token}
    place, cached = models.ensure(
        model, folder / "models", Path(sys.executable), secrets, time.monotonic() + 60
    )
    return Path(place), cached


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("name", "token"), [(OPEN, None), (GATED, TOKEN), (PRIVATE, TOKEN)])
def test_whoever_has_access_gets_what_vllm_reads_once(
    hub: Hub, tmp_path: Path, name: str, token: str | None
) -> None:
    folder, cached = ensure(hub, tmp_path, name, token)
    assert (held(folder), cached) == (KEPT, False)
    asked = len(hub.requests)
    assert ensure(hub, tmp_path, name, token) == (folder, True)
    assert len(hub.requests) == asked


ASK = "ask for access at {hub}/{name}, then set its token: " + SET
REFUSED = "{name}: the hub refuses this token ({status}); " + ASK
UNSEEN = "model.name: {hub} has no {name}, or shows it to nobody without access: correct the name, or ask for"
REFUSALS: list[tuple[str, str | None, str | None, str]] = [
    (GATED, None, None, "{name} is gated and no token is set: " + ASK),
    (GATED, OTHER, None, REFUSED.replace("{status}", "403")),
    (GATED, NOBODYS, None, REFUSED.replace("{status}", "401")),
    (OPEN, NOBODYS, None, REFUSED.replace("{status}", "401")),
    (PRIVATE, None, None, UNSEEN),
    (PRIVATE, OTHER, None, UNSEEN),
    ("no/such", None, None, UNSEEN),
    (OPEN, None, "v3", "model.revision: {name} has no v3 on {hub}; correct it"),
    (OPEN, None, "refs/pr/1", "model.revision: {name} has no refs/pr/1 on {hub}; correct it"),
    ("a/b/c", None, None, "model.name: {name} is no id of a model; expected organisation/model"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: "-".join(map(str, case[:3])))
def test_a_refusal_is_one_line_that_says_what_to_do(
    hub: Hub, tmp_path: Path, case: tuple[str, str | None, str | None, str]
) -> None:
    name, token, revision, said = case
    with pytest.raises(NodectlError) as refused:
        ensure(hub, tmp_path, name, token, revision=revision)
    text = str(refused.value)
    assert text.startswith(said.format(hub=hub.address, name=name))
    assert "\n" not in text
    assert token is None or token not in text


def test_a_refusal_is_forgotten_with_its_cause(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(NodectlError):
        ensure(hub, tmp_path, GATED, OTHER)
    assert held(ensure(hub, tmp_path, GATED, TOKEN)[0]) == KEPT


def test_a_revision_is_the_one_that_was_asked_for_and_beside_others(hub: Hub, tmp_path: Path) -> None:
    main, _ = ensure(hub, tmp_path)
    other, _ = ensure(hub, tmp_path, revision="v2")
    assert (main.resolve().name, other.resolve().name) == (COMMIT, OTHER_COMMIT)
    assert ensure(hub, tmp_path, revision=OTHER_COMMIT)[0].resolve() == other.resolve()


def test_a_download_that_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    files = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 65536 * 2}
    with serving(Hub({OPEN: files}, cut_after=25_000_000)) as hub:
        assert held(ensure(hub, tmp_path)[0]) == files
        resumed = [int(line.split()[-1]) for line in hub.requests if line.startswith("from byte")]
    assert len(resumed) == 1
    assert 0 < resumed[0] <= 25_000_000


def test_a_hub_with_too_many_guests_is_asked_again(hub: Hub, tmp_path: Path) -> None:
    hub.busy = 1
    assert held(ensure(hub, tmp_path)[0]) == KEPT


def test_several_nodes_of_a_machine_at_once_download_once(hub: Hub, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as nodes:
        found = list(nodes.map(lambda _: ensure(hub, tmp_path), range(4)))
    assert len({folder for folder, _ in found}) == 1
    assert sum(not cached for _, cached in found) == 1
    assert len([request for request in hub.requests if request.startswith("GET /storage/")]) == 1


def test_several_machines_at_once_each_get_all_of_it_at_the_same_path(hub: Hub, tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("one", "two", "three")]
    for place in places:
        place.mkdir()
    with ThreadPoolExecutor(3) as nodes:
        found = list(nodes.map(lambda place: ensure(hub, place)[0], places))
    assert [held(folder) for folder in found] == [KEPT] * 3
    assert len({folder.relative_to(place) for folder, place in zip(found, places, strict=True)}) == 1


def test_a_hub_that_cannot_be_reached_is_named_with_the_ways_there_are(tmp_path: Path) -> None:
    nowhere = Hub({}, address="http://127.0.0.1:9")
    with pytest.raises(NodectlError) as refused:
        ensure(nowhere, tmp_path)
    text = str(refused.value)
    assert text.startswith(f"{OPEN}: http://127.0.0.1:9 cannot be reached (")
    assert "`dynamo:proxy`" in text
    assert "`model.endpoint`" in text
    assert "\n" not in text


def test_a_half_downloaded_model_is_none_when_the_hub_is_away(hub: Hub, tmp_path: Path) -> None:
    partial = models.hub_cache(tmp_path / "models") / "models--organisation--open"
    (partial / "snapshots" / COMMIT).mkdir(parents=True)
    (partial / "snapshots" / COMMIT / "config.json").write_bytes(b"{}")
    (partial / "refs").mkdir()
    (partial / "refs" / "main").write_text(COMMIT)
    address, hub.address = hub.address, "http://127.0.0.1:9"
    with pytest.raises(NodectlError, match="cannot be reached"):
        ensure(hub, tmp_path)
    hub.address = address
    assert held(ensure(hub, tmp_path)[0]) == KEPT


def test_no_login_that_somebody_left_on_the_machine_is_used(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = tmp_path / "home" / ".cache" / "huggingface"
    login.mkdir(parents=True)
    (login / "token").write_text(TOKEN)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(NodectlError, match="no token is set"):
        ensure(hub, tmp_path, GATED)


def test_what_no_script_could_read_as_an_option_is_a_name(hub: Hub, tmp_path: Path) -> None:
    script = Path(models.__file__).with_name("hub.py")
    ran = subprocess.run(
        [sys.executable, "-I", script, "--help", "", str(tmp_path / "link")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.splitlines()[-1].startswith("model.name: --help is no id")
