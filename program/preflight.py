"""Conditions that hold before anything is created on AWS: state, region, login, plugin; one line each."""

import os
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pulumi
from pulumi.runtime.config import get_config_env

import account
from planning.aws.state import kept_on_this_machine, local_state
from program.backend import UnknownBackendError, backend
from settings.aws.target import AwsTarget
from settings.configuration import REGION_KEY

PROVIDER: Final = "pulumi-resource-aws"


class NotReadyError(RuntimeError):
    """Something is missing; the text is one line that says what, and what to do."""


def check(target: AwsTarget) -> None:
    """Raise NotReadyError, with everything that is missing, before anything is created.

    State on this machine is refused by an update; a preview creates nothing, and only warns.
    """
    problems = [*_state(target), *_region(target), *_login(target), *_plugin()]
    _sessions(target)
    if problems:
        raise NotReadyError(f"missing for AWS: {'; '.join(problems)}. Nothing was created.")


def _state(target: AwsTarget) -> Iterator[str]:
    try:
        url = backend()
    except UnknownBackendError as error:
        yield str(error)
        return
    if not kept_on_this_machine(url) or target.allow_local_state:
        return
    problem = local_state(url, pulumi.get_stack())
    if pulumi.runtime.is_dry_run():
        pulumi.log.warn(f"up is refused: {problem}")
    else:
        yield problem


def _region(target: AwsTarget) -> Iterator[str]:
    """Yield where the provider would look elsewhere than the plan does, or wherever the operator is."""
    region = pulumi.Config("aws").get("region")
    if region is None:
        desired = target.region or "us-east-1"
        yield f"`{REGION_KEY}` in the stack file (`pulumi config set {REGION_KEY} {desired}`)"
    elif region != target.region:
        yield f"one region: `{REGION_KEY}` is {region} and `target.region` {target.region}; remove the latter"


def _login(target: AwsTarget) -> Iterator[str]:
    """Yield that nobody is logged in, as the provider would find out at its first resource."""
    identity = account.identity(get_config_env())
    if identity.unlike is not None:
        return  # the look-ups say that they cannot be made
    try:
        account.Login(target.region or "", identity).open()
    except account.LoginError as error:
        yield f"credentials ({error})"


def _sessions(target: AwsTarget) -> None:
    """Warn where nodes are reached by somebody else than who makes them."""
    if target.access == "ssm" and not account.identity(get_config_env()).by_the_cli:
        pulumi.log.warn(
            "`access: ssm`: sessions are opened by the AWS CLI, which knows `aws:profile` and its "
            "environment alone; have those lead to the account that the other `aws:` keys name"
        )


def _plugin() -> Iterator[str]:
    """Yield that the AWS provider is not here and will not be fetched: the engine says so in many lines."""
    is_debugged = os.environ.get("PULUMI_DEBUG_PROVIDERS", "").startswith("aws:")
    is_fetched = os.environ.get("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "").lower() not in (
        "true",
        "1",
    )
    if is_debugged or is_fetched or shutil.which(PROVIDER):
        return
    desired = version("pulumi-aws")
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    if not (home / "plugins" / f"resource-aws-v{desired}" / PROVIDER).is_file():
        yield f"the provider's plugin (`pulumi plugin install resource aws {desired}`)"
