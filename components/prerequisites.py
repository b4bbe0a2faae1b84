"""What must be there before anything is created on AWS, said in one line: state, region, login, plugin."""

import os
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pulumi

from components.backend import UnknownBackendError, backend
from planning.aws.state import kept_on_this_machine, local_state
from planning.values import Plan
from settings.aws import AwsTarget
from settings.reading import REGION_KEY

PROVIDER: Final = "pulumi-resource-aws"
_GIVEN_OTHERWISE: Final = ("accessKey", "assumeRoleWithWebIdentity", "sharedCredentialsFiles")
"""Keys below `aws:` that bring credentials along."""


class NotReadyError(RuntimeError):
    """Something is missing; the text is one line that says what, and what to do."""


def aws_target(plan: Plan) -> AwsTarget:
    """Return the target of a plan for AWS."""
    if not isinstance(plan.settings.target, AwsTarget):
        raise TypeError(f"not aws: {plan.settings.target.kind}")
    return plan.settings.target


def check(target: AwsTarget) -> None:
    """Raise NotReadyError, with everything that is missing, before anything is created.

    State on this machine is refused by an update; a preview creates nothing, and only warns.
    """
    problems = [*_state(target), *_region(target), *_login(), *_plugin()]
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
    given = pulumi.Config("aws").get("region")
    if given is None:
        wanted = target.region or "us-east-1"
        yield f"`{REGION_KEY}` in the stack file (`pulumi config set {REGION_KEY} {wanted}`)"
    elif given != target.region:
        yield f"one region: `{REGION_KEY}` is {given} and `target.region` {target.region}; remove the latter"


def _login() -> Iterator[str]:
    """Yield that nobody is logged in, as the provider would find out at its first resource."""
    config = pulumi.Config("aws")
    if any(config.get(key) for key in _GIVEN_OTHERWISE):
        return
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - half a second, for target aws alone
    from botocore.session import Session  # noqa: PLC0415

    try:
        session = Session(profile=config.get("profile"))
        # the provider does not ask the machine's own role either, unless told to
        session.get_component("credential_provider").remove("iam-role")
        found = session.get_credentials() is not None
    except BotoCoreError as error:
        yield f"credentials ({error})"
        return
    if not found:
        yield "credentials (`aws sso login`, `aws configure`, or AWS_PROFILE)"


def _plugin() -> Iterator[str]:
    """Yield that the AWS provider is not here and will not be fetched: the engine says so in many lines."""
    debugged = os.environ.get("PULUMI_DEBUG_PROVIDERS", "").startswith("aws:")
    fetched = os.environ.get("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "").lower() not in ("true", "1")
    if debugged or fetched or shutil.which(PROVIDER):
        return
    wanted = version("pulumi-aws")
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    if not (home / "plugins" / f"resource-aws-v{wanted}" / PROVIDER).is_file():
        yield f"the provider's plugin (`pulumi plugin install resource aws {wanted}`)"
