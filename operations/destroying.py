"""Destroys what a stack has on AWS, with what AWS itself put into its network and nobody would delete."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from account import guardduty
from account.login import Login, LoginError
from operations import engine, fleet
from operations.state import living
from settings.problems import StackFileError

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

VPC: Final = "aws:ec2/vpc:Vpc"


def destroy(stack: str, file: Path, stack_state: Mapping[str, Any], options: Sequence[str] = ()) -> None:
    """Destroy all resources of a stack, with these options of Pulumi's.

    Raises CalledProcessError where Pulumi could not.
    """
    vpc = next((str(resource["id"]) for _, resource in living(stack_state, VPC)), None)
    login = None if vpc is None else _place(file, stack_state)
    if vpc is None or login is None:
        _destroy(stack, options)
        return
    _sweep(
        stack,
        vpc,
        login,
        [instance.urn for instance in fleet.existing_instances(stack_state).values()],
        options,
    )
    try:
        _destroy(stack, options)
    except subprocess.CalledProcessError:
        if not _sweep(stack, vpc, login, [], options):  # it may have come meanwhile
            raise
        _destroy(stack, options)


def _place(file: Path, stack_state: Mapping[str, Any]) -> Login | None:
    """Return where the stack is; None where its file does not say so any more, which keeps nothing up."""
    try:
        return fleet.login_of(file, fleet.existing_instances(stack_state))
    except StackFileError:
        _say(f"not looked for: {file} is not right; `scripts/plan` says what is wrong")
        return None


def _sweep(stack: str, vpc: str, login: Login, instances: Sequence[str], options: Sequence[str]) -> bool:
    """Delete what GuardDuty has in the stack's VPC, once no instance is there that it would come back for.

    Return whether there was anything that is gone now. Where nobody may look, that is said, and no more.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        ec2: EC2Client = login.open().client("ec2")
        leftovers = guardduty.leftovers(ec2, vpc)
        if not leftovers:
            return False
        _say(f"{leftovers} of Runtime Monitoring: deleted with the network, after the instances")
        if instances:
            targets = [option for urn in instances for option in ("--target", urn)]
            _destroy(stack, [*options, *targets, "--target-dependents"])
        guardduty.remove(ec2, vpc, leftovers, _say)
    except (LoginError, BotoCoreError, ClientError) as error:
        _say(
            f"not looked for or not deleted: {' '.join(str(error).split())}; if {vpc} cannot be deleted, "
            f"delete the endpoint and the security group with the tag {guardduty.MANAGED_TAG} in it first"
        )
        return False
    return True


def _destroy(stack: str, options: Sequence[str]) -> None:
    engine.run("destroy", "--skip-preview", "--stack", stack, "--yes", *options, check=True)


def _say(line: str) -> None:
    print(f"guardduty  {line}", file=sys.stderr, flush=True)
