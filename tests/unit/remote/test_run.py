"""Running nodectl on another machine: what SSH is asked, what runs there, what is said when it fails."""

import io
import os
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from remote import bundle, diagnosis, host_keys, run
from remote.__main__ import main
from remote.errors import RemoteError
from remote.host import KEY_FILE, Host
from remote.quoting import login_shell_command
from remote.run import nodectl

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGAgEGNedF3RWLspf6t5OrXdXCwd1HeDFeDRTCchXS9r"
ODD = [
    "a b",
    "it's",
    '"',
    "$(touch owned)",
    "`touch owned`",
    "new\nline",
    "ünïcode",
    "-n",
    "",
    "*",
    "\\",
    "%h",
]

CONNECTION = "-oBatchMode=yes"

SSH = """\
#!/bin/sh
# stands in for ssh: what would run on the host runs here, as root would see it
for last; do :; done
echo "$@" >> "$FAKE/asked"
{before}
exec sh -c "$last"
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host("gpu-1", "10.0.0.11", user="ops", host_key=KEY)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `ssh` and a `sudo` that stay here, and a folder for releases in place of /opt."""
    folder = tmp_path / "bin"
    folder.mkdir()
    write(folder / "sudo", '#!/bin/sh\nshift; exec "$@"\n')
    write(folder / "ssh", SSH.format(before=""))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE", str(tmp_path))
    monkeypatch.setattr(bundle, "HOME", str(tmp_path / "opt"))
    return tmp_path


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def launcher(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Make the release one launcher that does what `body` says."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo("nodectl/run")
        content = f"#!/bin/sh\n{body}\n".encode()
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))
    monkeypatch.setattr(bundle, "archive", packed.getvalue)


def test_whatever_arguments_hold_they_stay_arguments_on_the_host(tmp_path: Path) -> None:
    text = login_shell_command('printf "%s\\0" "$@"', "name", ODD)
    printed = subprocess.run(
        ["sh", "-c", text], cwd=tmp_path, capture_output=True, check=True
    ).stdout.decode()
    assert printed.split("\0")[:-1] == ODD
    assert list(tmp_path.iterdir()) == []


def test_a_host_without_the_release_gets_it_and_runs_the_verb_in_one_connection(
    fake: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher(monkeypatch, 'echo "progress" >&2; printf "%s|" "$@"; cat')
    done = nodectl(host, ["mocker", "apply", *ODD], b"the manifest")
    assert done.stdout.decode() == "|".join(["mocker", "apply", *ODD, "the manifest"])
    assert done.errors == ["progress"]
    assert [path.name for path in (fake / "opt").iterdir()] == [bundle.digest()]
    assert (fake / "asked").read_text().count(CONNECTION) == 1


def test_a_host_with_the_release_is_asked_once(
    fake: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher(monkeypatch, "exit 3")
    nodectl(host, ["mocker", "status"], b"")
    (fake / "asked").unlink()
    assert nodectl(host, ["mocker", "status"], b"").code == 3
    assert (fake / "asked").read_text().count(CONNECTION) == 1


def test_an_upload_that_was_cut_off_leaves_no_release(
    fake: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher(monkeypatch, "true")
    whole = bundle.archive()
    monkeypatch.setattr(bundle, "archive", lambda: whole[: len(whole) // 2])
    with pytest.raises(RemoteError, match=r"gpu-1 \(10\.0\.0\.11\) does not take nodectl's code"):
        nodectl(host, ["mocker", "status"], b"")
    assert list((fake / "opt").iterdir()) == []


def test_a_user_without_sudo_is_said_with_the_line_to_add(fake: Path, host: Host) -> None:
    write(fake / "bin/sudo", "#!/bin/sh\nexit 1\n")
    write(fake / "bin/id", "#!/bin/sh\necho 1000\n")
    lines = r"`ops ALL=\(ALL\) NOPASSWD: ALL`.*`Defaults:ops !requiretty`"
    with pytest.raises(RemoteError, match=rf"gpu-1 .*user ops may not use sudo .*{lines}"):
        nodectl(host, ["mocker", "status"], b"")


def test_another_system_is_refused_by_name(fake: Path, host: Host) -> None:
    write(fake / "bin/uname", "#!/bin/sh\necho Linux aarch64\n")
    with pytest.raises(RemoteError, match=r"gpu-1 .*runs Linux aarch64, expected Linux on x86_64"):
        nodectl(host, ["mocker", "status"], b"")


def test_a_host_that_lets_us_in_and_runs_nothing_ends_the_command_in_time(
    fake: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(fake / "bin/ssh", "#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(run, "BEGIN_SECONDS", 0.5)
    with pytest.raises(RemoteError, match=r"gpu-1 .*lets you in, and runs nothing within 0 s"):
        nodectl(host, ["mocker", "apply"], b"the manifest")


def test_what_a_login_shell_prints_first_is_no_part_of_the_answer(
    fake: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher(monkeypatch, "echo progress >&2; cat")
    write(fake / "bin/ssh", SSH.format(before="printf Welcome; printf Welcome >&2"))
    done = nodectl(host, ["mocker", "apply"], b"{}")
    assert (done.stdout, done.errors) == (b"{}", ["progress"])


def test_a_host_that_is_lost_in_the_middle_ends_the_command_with_its_name(
    fake: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher(monkeypatch, "exit 255")
    with pytest.raises(RemoteError, match=r"gpu-1 .*was lost after \d+ s, in the middle of a command"):
        nodectl(host, ["mocker", "apply"], b"x" * 1_000_000)


def test_a_host_that_only_boots_is_tried_again(
    fake: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher(monkeypatch, "echo here")
    refusing = '[ -e "$FAKE/up" ] || { touch "$FAKE/up"; echo "Connection refused" >&2; exit 255; }'
    write(fake / "bin/ssh", SSH.format(before=refusing))
    assert nodectl(host, ["mocker", "status"], b"").stdout == b"here\n"


SAID = {
    "ssh: connect to host 10.0.0.11 port 22: No route to host": "does not answer",
    "ssh: connect to host 10.0.0.11 port 22: Connection timed out": "does not answer",
    "ssh: connect to host 10.0.0.11 port 2222: Connection refused": "correct `port`",
    "ops@10.0.0.11: Permission denied (publickey,password).": "does not let user ops in",
    "ssh: Could not resolve hostname gpu-1: Name or service not known": "correct `host`",
    "kex_exchange_identification: Connection closed by remote host": "`MaxStartups`",
    "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @": "correct its `hostKey`",
    "stdio forwarding failed": "does not answer bastion",
    "something else": "cannot be reached: something else",
}


@pytest.mark.parametrize("line", SAID)
def test_what_ssh_says_becomes_one_line_with_host_and_key_to_change(line: str, host: Host) -> None:
    told = diagnosis.unreachable(host, [line])
    assert told.startswith("gpu-1 (10.0.0.11) ")
    assert SAID[line] in told
    assert "\n" not in told


def test_a_recorded_key_that_changed_is_said_with_the_command_that_forgets_it() -> None:
    host = Host("gpu-1", "h", port=2200, known_hosts=Path("stacks/known_hosts.x"))
    told = diagnosis.unreachable(host, ["Host key verification failed."])
    assert "`ssh-keygen -f stacks/known_hosts.x -R [h]:2200`" in told


def test_a_bastion_that_is_away_is_blamed_and_not_the_host() -> None:
    host = Host("gpu-1", "10.0.0.11", bastion="ops@10.0.0.1")
    said = [
        "ssh: connect to host 10.0.0.1 port 22: No route to host",
        "kex_exchange_identification: Connection closed by remote host",
    ]
    assert "its bastion is not" in diagnosis.unreachable(host, said)
    assert not diagnosis.passes(said)


def test_a_dead_agent_is_named(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    assert f"the SSH agent at {tmp_path}/agent" in diagnosis.unreachable(host, ["Permission denied"])


def test_a_given_key_is_the_only_one_that_is_accepted(host: Host, tmp_path: Path) -> None:
    options = host.ssh(tmp_path / "given")
    assert "-oStrictHostKeyChecking=yes" in options
    assert f'-oUserKnownHostsFile="{tmp_path}/given"' in options


def test_a_key_that_is_not_given_is_recorded_and_never_replaced(tmp_path: Path) -> None:
    options = Host("gpu-1", "h", known_hosts=tmp_path / "known").ssh(tmp_path / "given")
    assert "-oStrictHostKeyChecking=accept-new" in options
    assert f'-oUserKnownHostsFile="{tmp_path}/known"' in options


def test_nothing_personal_is_in_what_state_keeps(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_FILE, "/home/me/.ssh/key")
    assert "/home/me" not in shlex.join(host.arguments())
    assert "/home/me/.ssh/key" in host.ssh(Path("given"))


@pytest.mark.parametrize(
    ("bastion", "options", "host"),
    [
        ("ops@[2001:db8::1]:2222", "-l ops -p 2222", "2001:db8::1"),
        ("[2001:db8::1]:2222", "-p 2222", "2001:db8::1"),
        ("ops@2001:db8::1", "-l ops", "2001:db8::1"),
        ("bastion.example.org.:22", "-p 22", "bastion.example.org."),
    ],
)
def test_a_bastion_may_be_written_in_any_form_that_a_stack_file_takes(
    bastion: str, options: str, host: str, tmp_path: Path
) -> None:
    command = Host("gpu-1", "10.0.0.11", bastion=bastion).ssh(tmp_path)
    [proxy] = [option for option in command if option.startswith("-oProxyCommand=")]
    assert proxy.endswith(f" -- {host}")
    assert f" {options} " in proxy


def test_the_bastion_itself_is_reached_directly(tmp_path: Path) -> None:
    through = Host("gpu-1", "10.0.0.11", bastion="ops@10.0.0.1:2222").ssh(tmp_path)
    assert any("ProxyCommand=ssh" in option and "-p 2222" in option for option in through)
    assert not any(
        "ProxyCommand" in option for option in Host("h", "10.0.0.1", bastion="10.0.0.1").ssh(tmp_path)
    )


def test_options_of_a_host_come_back_as_they_were(
    fake: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    launcher(monkeypatch, 'printf "%s" "$*"')
    host = Host("gpu-1", "h", user="ops", port=2200, bastion="b:23", host_key=KEY)
    monkeypatch.setattr(sys, "stdin", None)
    assert main([*host.arguments(), "--release", "r", "--", "mocker", "status", "--root", "/r"]) == 0
    assert capfd.readouterr().out == "mocker status --root /r"
    asked = (fake / "asked").read_text()
    assert "-l ops -p 2200" in asked
    assert "-p 23" in asked


def test_undoing_something_on_a_host_that_is_gone_succeeds_and_says_so(
    fake: Path, host: Host, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write(fake / "bin/ssh", "#!/bin/sh\necho 'connect: No route to host' >&2; exit 255\n")
    monkeypatch.setattr(sys, "stdin", None)
    verb = ["--", "mocker", "remove", "--root", "/r"]
    assert main([*host.arguments(), *verb]) == 1
    assert main([*host.arguments(), "--gone-is-fine", *verb]) == 0
    assert "What this stack put there stays there" in capfd.readouterr().err


def test_undoing_something_on_a_host_that_keeps_us_out_fails(
    fake: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(fake / "bin/ssh", "#!/bin/sh\necho 'Permission denied (publickey)' >&2; exit 255\n")
    monkeypatch.setattr(sys, "stdin", None)
    assert main([*host.arguments(), "--gone-is-fine", "--", "mocker", "remove"]) == 1


def test_the_release_is_the_same_for_the_same_code_and_holds_all_of_nodectl() -> None:
    packed = bundle.archive()
    assert packed == bundle.archive()
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        names = set(tar.getnames())
    assert {"nodectl/__main__.py", "nodectl/versions/gpu.txt"} <= names
    assert not [name for name in names if not name.startswith("nodectl/") or "__pycache__" in name]


def test_recorded_keys_are_found_by_host_and_port(tmp_path: Path) -> None:
    file = tmp_path / "known"
    file.write_text(f"[h]:2200 {KEY}\n")
    assert host_keys.key(Host("gpu-1", "h", port=2200, known_hosts=file)) == KEY
    assert host_keys.key(Host("gpu-1", "h", known_hosts=file)) is None
    assert host_keys.key(Host("gpu-1", "h", known_hosts=tmp_path / "none")) is None


def test_every_host_that_cannot_be_recorded_is_named(fake: Path) -> None:
    write(fake / "bin/ssh", "#!/bin/sh\necho 'connect: No route to host' >&2; exit 255\n")
    hosts = [Host(name, name, known_hosts=fake / "known") for name in ("gpu-1", "gpu-2")]
    with pytest.raises(host_keys.UnknownHostKeysError) as caught:
        host_keys.record(hosts)
    assert [line.split()[0] for line in str(caught.value).splitlines()] == ["gpu-1", "gpu-2"]


def test_a_delete_command_in_the_state_of_an_earlier_release_still_runs(tmp_path: Path) -> None:
    gone = ["--name", "gpu-1", "--host", "gpu-1.invalid", "--gone-is-fine", "--", "mocker", "remove"]
    project = Path(__file__).parents[3]
    ran = [
        subprocess.run(
            [sys.executable, "-S", "-m", module, *gone],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        for module in ("reach", "remote")
    ]
    assert [done.returncode for done in ran] == [0, 0]
    assert ran[0].stderr == ran[1].stderr
    assert "What this stack put there stays there" in ran[0].stderr
