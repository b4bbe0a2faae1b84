"""Runs nodectl on a host: brings its code there when it is missing, hands on input, output and progress."""

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from nodectl.common.waiting import Moment, NotYetError, Progress, Wait
from remote import bundle, diagnosis
from remote.errors import RemoteError
from remote.host import Host
from remote.quoting import login_shell_command

BEGUN: Final = "dynamo-multinode: begun"
"""Line by which the host says, on both outputs, that the part of SSH and of the login shell is over."""

READY: Final = "dynamo-multinode: ready"
LACKING: Final = "dynamo-multinode: lacking"
"""Lines by which it then asks for its input, and for the release before that."""

SSH_FAILED: Final = 255
NO_RELEASE: Final = 93
NO_RIGHTS: Final = 94
WRONG_SYSTEM: Final = 95
NOT_BROUGHT: Final = 96
_MARKS: Final = (BEGUN, READY, LACKING)
_REFUSALS: Final = (NO_RELEASE, NO_RIGHTS, WRONG_SYSTEM, NOT_BROUGHT)

RETRY_SECONDS: Final = 20.0
"""Seconds that a host may refuse connections: one that boots, or an sshd with too many logins at once."""

BEGIN_SECONDS: Final = 60.0
"""Seconds that a host which accepts a login may take until the command asks for its input."""

_PAUSE: Final = 1.0
_TELL_SECONDS: Final = 30.0
"""Seconds between messages that a host which boots is still waited for."""

_LAST_LINES: Final = 12

_BECOME_ROOT: Final = f"""\
printf '\\n%s\\n' '{BEGUN}'
printf '\\n%s\\n' '{BEGUN}' >&2
as=
if [ "$(id -u)" != 0 ]; then
    as='sudo -n'
    sudo -n true </dev/null >/dev/null || exit {NO_RIGHTS}
fi
"""

RUN: Final = f"""{_BECOME_ROOT}
home=$1 release=$2
shift 2
if [ -x "$1" ]; then
    echo '{READY}' >&2
else
    [ "$(uname -sm)" = 'Linux x86_64' ] || {{ uname -sm >&2; exit {WRONG_SYSTEM}; }}
    echo '{LACKING}' >&2
    read -r size
    head -c "$size" | $as sh -c '
umask 022
(
    set -e
    mkdir -p "$1"
    partial=$(mktemp -d "$1/.partial.XXXXXX")
    trap '"'"'rm -rf "$partial"'"'"' EXIT
    tar -xzf - -C "$partial"
    chmod 755 "$partial"
    mv -T "$partial" "$1/$2" 2>/dev/null || [ -d "$1/$2" ]
)
status=$?
cat >/dev/null
exit $status
' upload "$home" "$release" || exit {NOT_BROUGHT}
    [ -x "$1" ] || exit {NO_RELEASE}
fi
exec $as "$@"
"""
"""Runs a program of a release. Where that is not there yet, the input begins with a line, the length of its

archive, and the archive; what is unpacked gets its name as one step: a folder of that name is whole.
"""


class Done(NamedTuple):
    """Result of a command on a host."""

    code: int
    stdout: bytes
    """Standard output of the command, without what a login shell printed before it."""
    errors: list[str]
    silent: bool = False
    """Whether it was ended, since it did not begin in time."""


def nodectl(host: Host, arguments: Sequence[str], stdin: bytes) -> Done:
    """Run `nodectl` of this release on the host as root; its standard error goes on to ours, line by line.

    Raises RemoteError where the host cannot be reached, is lost on the way, or cannot run nodectl.
    """
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder, "known_hosts")
        keys.write_text(f"{host.known_name} {host.host_key}\n" if host.host_key else "", encoding="utf-8")
        command = [bundle.HOME, bundle.digest(), bundle.program(), *arguments]
        completed = _connected(host, [*host.ssh(keys), login_shell_command(RUN, "nodectl", command)], stdin)
    if completed.code in _REFUSALS:
        raise RemoteError(_refused(host, completed))
    return completed


def _refused(host: Host, completed: Done) -> str:
    """Return why a host that lets one in did not run nodectl."""
    last_line = completed.errors[-1].strip() if completed.errors else f"exit code {completed.code}"
    if completed.code == NO_RIGHTS:
        return _no_rights(host, last_line)
    if completed.code == WRONG_SYSTEM:
        return f"{host.label} runs {last_line}, expected Linux on x86_64: take it out of `target.inventory`"
    if completed.code == NO_RELEASE:
        return f"{host.label} does not run what was brought to {bundle.HOME}: is it mounted noexec?"
    if "No space left" in "\n".join(completed.errors):
        return f"{host.label} has no room left on the disk that holds {bundle.HOME}: make room there"
    return f"{host.label} does not take nodectl's code: {last_line}"


def greet(host: Host) -> None:
    """Log in to the host and leave again. Raises RemoteError where that is not possible."""
    with tempfile.TemporaryDirectory() as folder:
        completed = _connected(
            host, [*host.ssh(Path(folder, "unused")), login_shell_command(_BECOME_ROOT, "greet", [])], b""
        )
    if completed.code == NO_RIGHTS:
        raise RemoteError(_refused(host, completed))


def _connected(host: Host, command: Sequence[str], stdin: bytes) -> Done:
    """Run one `ssh` command, again while the host only does not take connections yet."""
    start = time.monotonic()

    def attempt() -> Done:
        attempt_start = time.monotonic()
        completed, has_begun = _once(host, command, stdin)
        if completed.silent:
            raise RemoteError(
                f"{host.label} lets you in, and runs nothing within {BEGIN_SECONDS:.0f} s: see what its "
                "login shell, PAM or sudo waits for there"
            )
        if completed.code != SSH_FAILED and has_begun:
            return completed
        if completed.code != SSH_FAILED:
            last_line = (
                next(reversed(completed.errors), "") or completed.stdout.decode(errors="replace").strip()
            )
            raise RemoteError(f"{host.label} lets you in, but its login shell runs nothing: {last_line}")
        if has_begun:
            raise RemoteError(diagnosis.lost(host, time.monotonic() - attempt_start))
        if not _passes(host, completed.errors, time.monotonic() - start):
            raise RemoteError(
                diagnosis.unreachable(host, completed.errors), gone=diagnosis.gone(completed.errors)
            )
        raise NotYetError(completed.errors[-1])

    def tell(moment: Moment) -> None:
        line = f"{host.name}: waits for SSH, {moment.waited:.0f} s: {moment.seen}"
        print(line, file=sys.stderr, flush=True)

    progress = Progress(tell, after=_TELL_SECONDS, every=_TELL_SECONDS)
    return Wait(f"SSH of {host.name}", interval=_PAUSE, progress=progress).attempt(attempt)


def _passes(host: Host, lines: Sequence[str], seconds: float) -> bool:
    """Return whether to try again: shortly with every host, as long as it may boot with a new instance."""
    if host.route is not None:
        may_boot = time.time() < host.route.boots_until
        return (may_boot or seconds < RETRY_SECONDS) and diagnosis.boots(lines)
    return seconds < RETRY_SECONDS and diagnosis.passes(lines)


def _once(host: Host, command: Sequence[str], stdin: bytes) -> tuple[Done, bool]:
    """Run `ssh` once; return how it ended and whether the host's own part began."""
    errors: list[str] = []
    marks: set[str] = set()
    input_request, timeout = threading.Event(), threading.Event()

    def hand_on() -> None:
        for raw in process.stderr or ():
            line = raw.decode(errors="replace").rstrip("\r\n")
            if line in _MARKS:
                marks.add(line)
                errors.clear()
                if line != BEGUN:
                    input_request.set()
            else:
                errors.append(line)
                if BEGUN in marks:
                    print(line, file=sys.stderr, flush=True)
                    del errors[:-_LAST_LINES]
        input_request.set()  # it ended

    def feed() -> None:
        if not input_request.wait(BEGIN_SECONDS):
            timeout.set()
            process.kill()
            return
        # one that ends without reading says why by its exit code
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:  # type: ignore[union-attr]
            pipe.write(_brought(host) + stdin if LACKING in marks else stdin)

    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        threads = [threading.Thread(target=work, daemon=True) for work in (hand_on, feed)]
        for thread in threads:
            thread.start()
        stdout = process.stdout.read() if process.stdout else b""
        code = process.wait()
        for thread in threads:
            thread.join()
    return Done(code, _after_login(stdout), errors, timeout.is_set()), BEGUN in marks


def _brought(host: Host) -> bytes:
    """Return what comes before the input where the host lacks the release."""
    print(f"{host.name}: bringing nodectl there", file=sys.stderr, flush=True)
    archive = bundle.archive()
    return f"{len(archive)}\n".encode() + archive


def _after_login(stdout: bytes) -> bytes:
    """Return what the command printed: all of it where it did not begin."""
    login_output, mark, output = stdout.partition(f"\n{BEGUN}\n".encode())
    return output if mark else login_output


def _no_rights(host: Host, message: str) -> str:
    login_user, user = (f"user {host.user}", host.user) if host.user else ("the user who logs in", "USER")
    return (
        f"{host.label}: {login_user} may not use sudo without a password and a terminal ({message}): add "
        f"lines such as `{user} ALL=(ALL) NOPASSWD: ALL` and `Defaults:{user} !requiretty` to /etc/sudoers.d "
        "there, or correct `user` in `target.inventory`"
    )
