"""How the program meets its stack: the configuration, and what is said before anything is created."""

from collections.abc import Callable, Mapping, Sequence

import pulumi
from pulumi.runtime.config import get_config_env, get_config_secret_keys_env

import planning
from components.hosts import host_nodes
from components.local import local_nodes
from components.loopback import PortsTakenError
from components.node import Node
from planning.values import Plan
from planning.words import not_yet
from reach.known import UnknownHostsError
from settings import Settings
from settings.problems import StackFileError
from settings.reading import from_config

NODE_SOURCES: Mapping[str, Callable[[Plan], list[Node]]] = {"local": local_nodes, "hosts": host_nodes}
"""Target kind -> how its nodes come to be."""


def read_settings() -> Settings:
    """Return the running stack's settings; what is wrong with them ends the program without a stack trace."""
    try:
        return from_config(get_config_env(), get_config_secret_keys_env())
    except StackFileError as error:
        raise _refusal(error) from None


def make_plan(settings: Settings) -> Plan:
    """Return the plan for `settings`, or end the program with everything that cannot be."""
    try:
        return planning.plan(settings)
    except StackFileError as error:
        raise _refusal(error) from None


def make_nodes(settings: Settings, plan: Plan) -> list[Node]:
    """Return the plan's nodes from the target that the stack file names."""
    kind, stack = settings.target.kind, pulumi.get_stack()
    if kind not in NODE_SOURCES:
        raise pulumi.RunError(not_yet(kind, NODE_SOURCES, stack))
    try:
        return NODE_SOURCES[kind](plan)
    except (PortsTakenError, UnknownHostsError) as error:
        raise pulumi.RunError(f"{error}\nNothing was created.") from None


def secrets(settings: Settings) -> dict[str, str]:
    """Return the stack's secrets by the environment name that services read them from."""
    token = settings.hugging_face_token
    return {} if token is None else {"HF_TOKEN": token.get_secret_value()}


def announce(plan: Plan, nodes: Sequence[Node]) -> None:
    """Say what will run where, and what restarts and why, compared with what this stack last became.

    Only in previews: an update writes the state that the comparison would read, and may read half of it.
    """
    addresses = {node.name: node.address for node in nodes}
    topology = planning.topology(plan, addresses)
    pulumi.export("topology", topology)
    if not pulumi.runtime.is_dry_run():
        return
    pulumi.log.info(planning.describe(plan, addresses))
    this_stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    last = pulumi.StackReference(this_stack).get_output("topology")
    last.apply(lambda before: _tell(planning.restarts(before, topology)))


def _tell(lines: Sequence[str]) -> None:
    for line in lines:
        pulumi.log.info(line)


def _refusal(error: StackFileError) -> pulumi.RunError:
    return pulumi.RunError(f"stacks/Pulumi.{pulumi.get_stack()}.yaml\n{error}")
