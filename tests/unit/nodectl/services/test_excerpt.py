"""An error shows why a service failed: its log's warnings and errors, no polling, and which disk is full."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodectl.common.disk import explained, shortages
from nodectl.services.excerpt import LINES, below_headings, of_file

PROJECT = Path(__file__).parents[4]

CAUSES = {
    "Dynamo": "2026-11-27T12:40:47.011979Z  WARN dynamo_llm::discovery: cannot add model tiny: no tokenizer",
    "Dynamo in colours": "\x1b[2m2026-11-27T12:40:47Z\x1b[0m \x1b[31mERROR\x1b[0m dynamo_llm: no card",
    "vLLM": "(EngineCore_0 pid=12) ERROR 11-27 12:40:47 [core.py:708] EngineCore failed to start.",
    "a Python exception": "ValueError: rope_scaling's factor field must be a float >= 1, got 4",
    "an exception of a package": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
    "etcd": '{"level":"fatal","ts":"2026-11-27T12:40:47Z","msg":"failed","error":"write: no space left"}',
    "etcd's warnings": '{"level":"warn","ts":"2026-11-27T12:40:47Z","msg":"apply request took too long"}',
    "NATS": "[7] 2026/11/27 12:40:47.304723 [ERR] JetStream failed to store a msg: no space left on device",
    "HAProxy": "[ALERT]    (9) : config : could not bind socket [10.0.0.1:8000]",
    "a panic": "thread 'tokio-1' panicked at lib/runtime/src/transports/etcd.rs:88:14:",
    "the system": "OSError: [Errno 28] No space left on device",
    "a port": "error while attempting to bind on address: address already in use",
    "nodectl": "nodectl: waiting for 10.0.0.1:2379 (20 s): [Errno 111] Connection refused: WARNING",
}
POLLING = [
    '2026-11-27T12:40:{n}.1Z  INFO http: GET /health status=200',
    '2026-11-27T12:40:{n}.1Z  INFO request{{method=GET uri=/v1/models}}: response status=200 latency_ms=0',
    'INFO:     127.0.0.1:3301{n} - "GET /v1/models HTTP/1.1" 200 OK',
    '2026-11-27T12:40:{n}.1Z  INFO http: GET http://127.0.0.1:9090/metrics 200',
    '2026-11-27T12:40:{n}.1Z  INFO dynamo_llm::http::service: http response sent status=200 latency_ms=0',
]  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES.keys())
@pytest.mark.parametrize("poll", POLLING)
def test_the_cause_is_shown_however_often_somebody_asked_since(cause: str, poll: str) -> None:
    lines = ["starting", cause, *(poll.format(n=n) for n in range(500))]
    shown = below_headings(lines, "frontend on node-1")
    plain = cause.replace("\x1b[2m", "").replace("\x1b[31m", "").replace("\x1b[0m", "")
    assert f"    {plain}" in shown
    assert not [line for line in shown if poll.format(n=499) in line]
    assert not [line for line in shown if "/v1/models" in line or "/health" in line or "/metrics" in line]
    assert len(shown) <= LINES + 2


def test_warnings_and_errors_come_first_each_kind_once_and_then_the_end() -> None:
    lines = [
        "INFO a",
        "ERROR first cause",
        *(f"WARN retry {n} of 9999" for n in range(300)),
        "INFO b",
        "INFO c",
    ]
    lines += [f"INFO d{n}" for n in range(9)]
    assert below_headings(lines, "etcd") == [
        "  warnings and errors of etcd:",
        "    ERROR first cause",
        "    WARN retry 0 of 9999",
        "  last lines of etcd:",
        *(f"    INFO d{n}" for n in range(5, 9)),
    ]


def test_of_many_errors_the_first_and_the_last_are_shown() -> None:
    lines = [f"ERROR {chr(97 + n // 26)}{chr(97 + n % 26)} failed" for n in range(200)] + ["end"] * 9
    shown = below_headings(lines, "x")
    assert "    ERROR aa failed" in shown
    assert "    ERROR hr failed" in shown


def test_a_log_without_trouble_shows_its_last_lines_and_one_of_polling_alone_that(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("".join(f"line {n}\n" for n in range(40)))
    assert of_file(log, "x") == ["  last lines of x:", *(f"    line {n}" for n in range(28, 40))]
    log.write_text("INFO http: GET /health\n")
    assert of_file(log, "x") == ["  last lines of x:", "    INFO http: GET /health"]
    log.write_text("")
    assert of_file(log, "x") == []


def test_a_full_disk_is_named_in_place_of_an_errno(tmp_path: Path) -> None:
    """A verb of nodectl writes to a file system of 64 KiB that something else filled."""
    script = """
mount -t tmpfs -o size=64k none "$1" || exit 77
mkdir "$1/node"; head -c 1000000 /dev/zero > "$1/other"
exec "$2" -P -c 'import sys; sys.path.insert(0, "."); from nodectl.__main__ import main
sys.exit(main(["secrets", "--root", sys.argv[1] + "/node"]))' "$1"
"""
    ran = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "bash",
            "-c",
            script,
            "-",
            tmp_path,
            sys.executable,
        ],
        cwd=PROJECT,
        input='{"HF_TOKEN": "x"}',
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode == 77 or "unshare" in ran.stderr:
        pytest.skip("needs user namespaces")
    assert ran.returncode == 1
    assert "no space left on device: the file system of" in ran.stderr
    assert str(tmp_path) in ran.stderr
    assert "(0 MiB free of 0)" in ran.stderr
    assert "free some and run it again" in ran.stderr
    assert "Errno" not in ran.stderr


def test_other_errors_of_the_system_stay_as_they_are() -> None:
    assert explained(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/x"), []) == (
        "[Errno 2] No such file or directory: '/x'"
    )
    assert shortages([Path("/proc"), Path("/nowhere/at/all")]) == []
