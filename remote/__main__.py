"""`python -m remote [OPTIONS] -- VARIANT VERB …`: `nodectl VERB …` on a host, as if it were run here.

Exit codes are nodectl's, and 1 where the host cannot be reached. With `--gone-is-fine`, for what undoes
something: a host that cannot be reached is left as it is, and said.
"""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodectl.common.commandline import CommandLine
from nodectl.common.redaction import without_known_secrets
from remote.errors import RemoteError
from remote.host import Host
from remote.run import nodectl


def main(argv: Sequence[str]) -> int:
    """Run one verb on one host."""
    options, arguments = _parsed(argv)
    host = Host(
        name=options.name,
        host=options.host,
        user=options.user,
        port=options.port,
        bastion=options.bastion,
        host_key=options.host_key,
        known_hosts=options.known_hosts,
    )
    try:
        if options.access is not None:
            host = _on_aws(host, options.access)
        completed = nodectl(host, arguments, _stdin())
    except RemoteError as error:
        if options.gone_is_fine and error.gone:
            print(f"{error}. What this stack put there stays there.", file=sys.stderr)
            return 0
        print(without_known_secrets(str(error)), file=sys.stderr)
        return 1
    sys.stdout.buffer.write(completed.stdout)
    return completed.code


def _on_aws(host: Host, folder: Path) -> Host:
    from remote import aws_access  # noqa: PLC0415 - every command on any other host would wait for it

    route = aws_access.ssh_route(folder, host.name)
    return host._replace(bastion=route.bastion, known_hosts=route.known_hosts, route=route)


def _parsed(argv: Sequence[str]) -> tuple[Any, list[str]]:
    parser = CommandLine(prog="remote", description=main.__doc__)
    parser.add_argument("--name", required=True, help="the node's name, for messages")
    parser.add_argument("--host", required=True, help="what SSH connects to")
    parser.add_argument("--user", help="default: what the SSH configuration says")
    parser.add_argument("--port", type=int, help="default: what the SSH configuration says")
    parser.add_argument("--bastion", metavar="[USER@]HOST[:PORT]", help="goes through it")
    parser.add_argument("--host-key", metavar="'TYPE KEY'", help="the only key that the host may show")
    parser.add_argument("--known-hosts", type=Path, help="file that keys are recorded in and checked against")
    parser.add_argument("--access", type=Path, help="folder that says how an instance on AWS is reached")
    parser.add_argument("--release", help="changes when nodectl's code does, so that it runs again")
    parser.add_argument("--gone-is-fine", action="store_true", help="do nothing on a host that is gone")
    parser.add_argument("nodectl", nargs="+", metavar="VARIANT VERB …")
    options = parser.parse_args(argv)
    return options, options.nodectl


def _stdin() -> bytes:
    return b"" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main(sys.argv[1:]))
