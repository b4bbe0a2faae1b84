"""Settings and plan of the running stack; anything wrong with them ends the program."""

import os
from typing import Final

import pulumi
from pulumi.runtime.config import get_config_env, get_config_secret_keys_env

import planning
from planning.values import Plan
from program.refusals import refused
from settings import Settings
from settings.loader import exposed_secrets, from_config, stack_file
from settings.problems import StackFileError

_AROUND_PROXY: Final = "DYNAMO_MULTINODE_AROUND_PROXY"
"""Variable with the name of the proxy variable, set where `tools/toolchain/loopback.py` excluded loopback.

Without that, no program would get this far.
"""


def read_settings() -> Settings:
    """Return the running stack's settings, or end the program with everything that is wrong with them."""
    if proxy_variable := os.environ.get(_AROUND_PROXY):
        pulumi.log.warn(
            f"{proxy_variable} is set and NO_PROXY leaves out no loopback: this run goes around the proxy to "
            'its engine; for what else you start here, `eval "$(scripts/env)"` sets NO_PROXY'
        )
    try:
        settings = from_config(get_config_env(), get_config_secret_keys_env(), stack_file(pulumi.get_stack()))
    except StackFileError as error:
        raise refused(error) from None
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
        raise refused(StackFileError(problems))


def make_plan(settings: Settings) -> Plan:
    """Return the plan for `settings`, or end the program with everything that cannot be."""
    try:
        return planning.plan(settings)
    except StackFileError as error:
        raise refused(error) from None


def secrets(settings: Settings) -> dict[str, str]:
    """Return the stack's secrets by the environment name that services read them from."""
    token = settings.hugging_face_token
    return {} if token is None else {"HF_TOKEN": token.get_secret_value()}
