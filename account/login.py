"""Where and as whom the account is asked: boto3, imported when first needed, with a bound on every wait."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from settings.aws import AwsTarget

if TYPE_CHECKING:
    from boto3 import Session
    from botocore.config import Config

PROFILE_KEY: Final = "aws:profile"
"""The AWS provider's own."""

NOBODY: Final = "no AWS credentials; `aws configure` or AWS_PROFILE sets them up"

CONNECT_SECONDS: Final = 2
READ_SECONDS: Final = 5
ATTEMPTS: Final = 2
"""Each request, so that an answer or its absence takes seconds: no answer refuses nothing."""


@dataclass(frozen=True)
class Login:
    """A region, and the profile of the AWS configuration; None: as the environment says."""

    region: str
    profile: str | None = None

    def session(self) -> "Session":
        """Return boto3's session. Raises botocore's errors for a profile that is not there."""
        from boto3 import Session  # noqa: PLC0415 - half a second, for target aws alone

        return Session(profile_name=self.profile, region_name=self.region)


def login(target: AwsTarget, file: Path) -> Login:
    """Return what the provider uses as well: region and profile of a stack file that was read before."""
    config = yaml.safe_load(file.read_text(encoding="utf-8"))["config"]
    profile = config.get(PROFILE_KEY)
    return Login(target.region or "", None if profile is None else str(profile))


def bounded() -> "Config":
    """Return what bounds every request."""
    from botocore.config import Config  # noqa: PLC0415

    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        user_agent_extra="dynamo-multinode",
    )
