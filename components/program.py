"""How the program meets its stack: the configuration, and what is said before anything is created."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import pulumi
from pulumi.runtime.config import get_config_env, get_config_secret_keys_env

import planning
from components.hosts import host_addresses, host_nodes
from components.local import local_addresses, local_nodes
from components.loopback import PortsTakenError
from components.node import Node
from components.prerequisites import NotReadyError, aws_target, check
from planning.aws.network import addresses as aws_addresses
from planning.sizing.cost_change import change, exported
from planning.values import Plan
from remote.host_keys import UnknownHostKeysError
from settings import Settings
from settings.loader import exposed_secrets, from_config, stack_file
from settings.problems import StackFileError


def _aws_addresses(plan: Plan) -> Mapping[str, str]:
    return aws_addresses(aws_target(plan), plan.nodes)


def _aws_nodes(plan: Plan, addresses: Mapping[str, str]) -> list[Node]:
    check(aws_target(plan))
    # what follows takes long to load, and Pulumi's AWS SDK seconds
    from components.account import ask_account  # noqa: PLC0415

    ends = ask_account(plan)
    from components.aws.nodes import aws_nodes  # noqa: PLC0415

    return aws_nodes(plan, addresses, ends)


_AROUND_PROXY: Final = "DYNAMO_MULTINODE_AROUND_PROXY"
"""What `tools/toolchain/loopback.py` marks that it had to do: without it, no program would get this far."""


class Source(NamedTuple):
    """How the nodes of a target come to be; where they will be is known before anything is."""

    addresses: Callable[[Plan], Mapping[str, str]]
    nodes: Callable[[Plan, Mapping[str, str]], list[Node]]


NODE_SOURCES: Mapping[str, Source] = {
    "local": Source(local_addresses, local_nodes),
    "hosts": Source(host_addresses, host_nodes),
    "aws": Source(_aws_addresses, _aws_nodes),
}
"""By target kind."""


def read_settings() -> Settings:
    """Return the running stack's settings; what is wrong with them ends the program without a stack trace."""
    if leading := os.environ.get(_AROUND_PROXY):
        pulumi.log.warn(
            f"{leading} is set and NO_PROXY leaves out no loopback: this run goes around the proxy to its "
            'engine; for what else you start here, `eval "$(scripts/env)"` sets NO_PROXY'
        )
    try:
        settings = from_config(get_config_env(), get_config_secret_keys_env(), stack_file(pulumi.get_stack()))
    except StackFileError as error:
        raise _refusal(error) from None
    _check_exposure(settings)
    return settings


def _check_exposure(settings: Settings) -> None:
    """End the program where everybody could read the stack's secrets.

    A preview creates none, and only warns of those that an update would.
    """
    try:
        problems = exposed_secrets(stack_file(pulumi.get_stack()), settings)
    except StackFileError:
        return  # the configuration came from another file
    if problems and pulumi.runtime.is_dry_run() and settings.hugging_face_token is None:
        pulumi.log.warn(f"up is refused: {StackFileError(problems).of(pulumi.get_stack())}")
    elif problems:
        raise _refusal(StackFileError(problems))


def make_plan(settings: Settings) -> Plan:
    """Return the plan for `settings`, or end the program with everything that cannot be."""
    try:
        return planning.plan(settings)
    except StackFileError as error:
        raise _refusal(error) from None


def find_addresses(plan: Plan) -> Mapping[str, str]:
    """Return where each node of the plan is, or will be."""
    try:
        return NODE_SOURCES[plan.settings.target.kind].addresses(plan)
    except PortsTakenError as error:
        raise _nothing(error) from None


def make_nodes(plan: Plan, addresses: Mapping[str, str]) -> list[Node]:
    """Return the plan's nodes from the target that the stack file names, or end the program."""
    try:
        return NODE_SOURCES[plan.settings.target.kind].nodes(plan, addresses)
    except StackFileError as error:
        raise _refusal(error) from None
    except NotReadyError as error:
        raise pulumi.RunError(str(error)) from None
    except UnknownHostKeysError as error:
        raise _nothing(error) from None


def secrets(settings: Settings) -> dict[str, str]:
    """Return the stack's secrets by the environment name that services read them from."""
    token = settings.hugging_face_token
    return {} if token is None else {"HF_TOKEN": token.get_secret_value()}


def announce(plan: Plan, addresses: Mapping[str, str]) -> None:
    """Say what will run where, and what restarts and why, compared with what this stack last became.

    Only in previews: an update writes the state that the comparison would read, and may read half of it.
    """
    topology, price = planning.topology(plan, addresses), planning.cost(plan)
    pulumi.export("topology", topology)
    if price is not None:
        pulumi.export("cost", exported(price))
    if not pulumi.runtime.is_dry_run():
        return
    pulumi.log.info(planning.describe(plan, addresses))
    this_stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    last = pulumi.StackReference(this_stack)
    last.get_output("topology").apply(lambda before: _tell(planning.restarts(before, topology)))
    if price is not None:
        last.get_output("cost").apply(lambda before: _tell(change(before, price)))


def _tell(lines: Sequence[str]) -> None:
    for line in lines:
        pulumi.log.info(line)


def _nothing(error: Exception) -> pulumi.RunError:
    return pulumi.RunError(f"{error}\nNothing was created.")


def _refusal(error: StackFileError) -> pulumi.RunError:
    return pulumi.RunError(error.of(pulumi.get_stack()))
