"""The commands of `scripts/lab`."""

import argparse
import os
import signal
import sys

import yaml

from nodectl.common.commandline import CommandLine
from nodectl.versions import ENGINE_VARIANTS
from tools.hostlab.errors import LabError
from tools.hostlab.host import ENVIRONMENT, Host
from tools.hostlab.lab import BUNDLED, Lab
from tools.toolchain.common import ToolchainError, say

POWER = {
    "stop": (Host.stop, "shut a host down in good order"),
    "kill": (Host.kill, "cut a host's power"),
    "start": (Host.start, "boot a host with the disk that it had"),
    "reboot": (Host.reboot, "restart a host in good order"),
}


def main() -> int:
    """Run a command; return its exit status. A problem is printed as one message."""
    os.umask(0o022)  # the hosts' own users read what is made for them
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where ip is, for users who became root by su
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    arguments = _parser().parse_args()
    try:
        return _run(arguments)
    except (ToolchainError, OSError) as error:
        print(f"scripts/lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser() -> CommandLine:
    parser = CommandLine(prog="scripts/lab", description="Real hosts on this machine. See docs/lab.md.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="bring the lab to N hosts that are ready")
    up.add_argument("count", type=int, metavar="N")
    up.add_argument(
        "--runtime",
        choices=ENGINE_VARIANTS,
        default="mocker",
        help="what the hosts can run (default: mocker)",
    )
    verbs.add_parser("down", help="leave nothing of it")
    verbs.add_parser("status", help="show the hosts")
    verbs.add_parser("inventory", help="print the hosts as the target of a stack file")
    run = verbs.add_parser("exec", help="run a command in a host as root")
    run.add_argument("host")
    run.add_argument("command", nargs=argparse.REMAINDER)
    for verb, (_, does) in POWER.items():
        verbs.add_parser(verb, help=does).add_argument("host")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    lab = Lab()
    match arguments.verb:
        case "inventory":
            print(f"# for your SSH agent: ssh-add {lab.key}")
            keys = {"dynamo:target": lab.target(), "dynamo:runtime": BUNDLED}
            print(yaml.safe_dump(keys, sort_keys=False), end="")
            return 0
        case "status":
            for host in lab.hosts:
                say(f"{host.name:<10} {host.address:<15} {'on' if host.running else 'off'}")
            return 0
    if os.geteuid() != 0:
        raise LabError("a lab boots machines and needs root; run it with sudo")
    match arguments.verb:
        case "up":
            lab.up(arguments.count, arguments.runtime)
        case "down":
            lab.down()
        case "exec":
            command = lab.host(arguments.host).entering(arguments.command or ["bash"])
            os.execvpe(command[0], command, ENVIRONMENT)  # noqa: S606 - there is no shell, as it should be
        case verb:
            switch, _ = POWER[verb]
            switch(lab.host(arguments.host))
    return 0


if __name__ == "__main__":
    sys.exit(main())
