"""Nodes of `target: aws`: preflight, the account's answers, then instances."""

from collections.abc import Mapping

import pulumi

from components.node import Node
from planning.aws.network import addresses
from planning.aws.state import state_digest
from planning.aws.target import required_aws_target
from planning.values import Plan
from program.backend import backend
from program.preflight import check


def aws_addresses(plan: Plan) -> Mapping[str, str]:
    """Return the addresses that planning chose for the plan's nodes."""
    return addresses(required_aws_target(plan.settings), plan.nodes)


def aws_nodes(plan: Plan, addresses: Mapping[str, str]) -> list[Node]:
    """Return the plan's nodes on instances of their own.

    Raises NotReadyError where state, region, login or plugin are missing, and StackFileError with what the
    account refuses.
    """
    check(required_aws_target(plan.settings))
    # what follows takes long to load, and Pulumi's AWS SDK seconds
    from program.account import ask_account  # noqa: PLC0415

    owner = state_digest(backend(), pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack())
    ends = ask_account(plan, owner)
    from components.aws import nodes  # noqa: PLC0415

    return nodes.aws_nodes(plan, addresses, owner, ends)
