"""The nodes of a plan by target kind: this machine's, those of an inventory, or instances on AWS."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import pulumi

from components.node import Node
from planning.values import Plan
from program.aws import aws_addresses, aws_nodes
from program.hosts import host_addresses, host_nodes
from program.local import local_addresses, local_nodes
from program.loopback import PortsTakenError
from program.preflight import NotReadyError
from program.refusals import nothing_created, refused
from remote.host_keys import UnknownHostKeysError
from settings.problems import StackFileError


class Source(NamedTuple):
    """Functions that create the nodes of a target; addresses are known before any node exists."""

    addresses: Callable[[Plan], Mapping[str, str]]
    nodes: Callable[[Plan, Mapping[str, str]], list[Node]]


SOURCES: Final[Mapping[str, Source]] = {
    "local": Source(local_addresses, local_nodes),
    "hosts": Source(host_addresses, host_nodes),
    "aws": Source(aws_addresses, aws_nodes),
}
"""By target kind."""


def find_addresses(plan: Plan) -> Mapping[str, str]:
    """Return where each node of the plan is, or will be; end the program where that cannot be."""
    try:
        return SOURCES[plan.settings.target.kind].addresses(plan)
    except PortsTakenError as error:
        raise nothing_created(error) from None


def make_nodes(plan: Plan, addresses: Mapping[str, str]) -> list[Node]:
    """Return the plan's nodes from the target that the stack file names, or end the program."""
    try:
        return SOURCES[plan.settings.target.kind].nodes(plan, addresses)
    except StackFileError as error:
        raise refused(error) from None
    except NotReadyError as error:
        raise pulumi.RunError(str(error)) from None
    except UnknownHostKeysError as error:
        raise nothing_created(error) from None
