"""Access to the instances of a stack on AWS, from its state: also for people who did not bring it up."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from operations import engine
from operations.errors import StackError
from operations.state import COMMAND, ELASTIC_IP, INSTANCE, PROVIDER, EncryptedError, living, plain
from planning.aws.state import ROLE_TAG
from planning.aws.target import aws_target
from remote import aws_access
from settings.aws.target import AwsTarget
from settings.loader import read_stack_file, stack_file

_KEYS: Final = (aws_access.LOGIN_KEY, aws_access.HOST_KEY)


def runs_any(stack_state: Mapping[str, Any] | None) -> bool:
    """Return whether an exported stack has instances."""
    return any(True for _ in living(stack_state, INSTANCE))


def open_access(stack: str, stack_state: Mapping[str, Any] | None) -> bool:
    """Write how the stack's instances are reached, where it has any; return whether it does.

    A state that was exported without its secrets, which the keys are, is exported again with them. Raises
    StackError where the stack's file names another target, and EncryptedError where the keys cannot be had.
    """
    if not runs_any(stack_state):
        return False
    settings = read_stack_file(stack_file(stack))
    target = aws_target(settings)
    if target is None:
        kind = settings.target.kind
        raise StackError(f"stack {stack} runs instances on AWS and {stack_file(stack)} says {kind}")
    try:
        keep_access(stack, target, stack_state)
    except EncryptedError:
        keep_access(stack, target, engine.exported(stack, secrets=True))
    return True


def keep_access(stack: str, target: AwsTarget, stack_state: Mapping[str, Any] | None) -> None:
    """Write how the nodes of `stack` are reached, as a stack that was exported with its secrets says."""
    machines = dict(living(stack_state, INSTANCE))
    head = next(
        name for name, resource in machines.items() if resource["inputs"]["tags"].get(ROLE_TAG) == "head"
    )
    public = dict(living(stack_state, ELASTIC_IP)).get("head", {}).get("outputs", {}).get("publicIp")
    keys = {
        name: plain(resource["outputs"]["stdout"])
        for name, resource in living(stack_state, COMMAND)
        if name in _KEYS
    }
    provider: dict[str, Any] = next((resource["inputs"] for _, resource in living(stack_state, PROVIDER)), {})
    ssm = target.access == "ssm"
    route = aws_access.FleetAccess(
        region=target.region or "",
        ssm=ssm,
        bastion=f"{target.ami.user}@{public}" if public and not ssm else None,
        head=head,
        profile=provider.get("profile"),
        instances={name: str(resource["id"]) for name, resource in machines.items()},
        since={name: _created(resource) for name, resource in machines.items()},
    )
    login = keys.get(aws_access.LOGIN_KEY)
    aws_access.write_access(
        aws_access.folder_of(stack),
        route,
        key=None if login is None else aws_access.private_part(login),
        host_key=aws_access.public_part(keys[aws_access.HOST_KEY]),
    )


def _created(resource: Mapping[str, Any]) -> float:
    """Return when a resource was created, in seconds since 1970; 0 where state does not say."""
    text = resource.get("created")
    return datetime.fromisoformat(text).timestamp() if text else 0.0
