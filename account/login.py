"""Sessions of boto3 for account look-ups, with a timeout on every request.

They act as the AWS provider does (`account.identity`), or are refused. boto3 is imported when first needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from account.identity import Identity, Role, WebIdentity, identity
from settings.aws.target import AwsTarget
from settings.loader import document

if TYPE_CHECKING:
    import botocore.session
    from boto3 import Session
    from botocore.config import Config
    from botocore.credentials import Credentials

NO_CREDENTIALS: Final = "no AWS credentials; `aws sso login`, `aws configure` or AWS_PROFILE sets them up"

PROJECT_FILE: Final = Path("Pulumi.yaml")
"""Holds configuration for all stacks; a stack file overrides it."""

CONNECT_SECONDS: Final = 2
READ_SECONDS: Final = 5
ATTEMPTS: Final = 2
"""Limits of each request, so that look-ups take seconds: a missing answer refuses nothing."""

_MESSAGE_LENGTH: Final = 200


class LoginError(Exception):
    """Look-ups cannot act as the provider would; the text gives the reason."""


@dataclass(frozen=True)
class Account:
    """A boto3 session with credentials."""

    session: "Session"
    identity: Identity

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a client of an AWS service, by default in the region of the login."""
        # the provider's names have no hyphens: `servicequotas`
        url = (self.identity.endpoints or {}).get(service.replace("-", ""))
        return self.session.client(  # type: ignore[call-overload]
            service,
            region_name=region,
            endpoint_url=url,
            verify=_verify(self.identity),
            config=_config(self.identity),
        )


@dataclass(frozen=True)
class Login:
    """A region, and the identity that acts there; by default that of the environment."""

    region: str
    identity: Identity = field(default_factory=Identity)

    def open(self) -> Account:
        """Return the account to query. Raises LoginError if look-ups cannot act as the provider would."""
        from boto3 import Session  # noqa: PLC0415 - half a second, for target aws alone
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        if self.identity.unlike is not None:
            raise LoginError(
                f"{self.identity.unlike}, and without it another account might answer than the one that `up` "
                "acts in"
            )
        try:
            core = self._session()
            credentials = core.get_credentials()
            if credentials is None:
                raise LoginError(NO_CREDENTIALS)
            credentials.get_frozen_credentials()
        except ClientError as error:
            raise LoginError(_refusal(self.identity, error.response["Error"])) from None
        except (BotoCoreError, OSError) as error:
            raise LoginError(" ".join(str(error).split())[:_MESSAGE_LENGTH]) from None
        account = Account(Session(botocore_session=core, region_name=self.region), self.identity)
        _check_account_number(account)
        return account

    def _session(self) -> "botocore.session.Session":
        """Return a session with the credentials of the last role, or without roles with those there are."""
        session = _base_session(self.identity, self.region)
        sts = partial(
            session.create_client,
            region_name=self.identity.sts_region or self.region,
            endpoint_url=(self.identity.endpoints or {}).get("sts"),
            verify=_verify(self.identity),
        )
        if self.identity.web is not None:
            _set_credentials(session, _assumed_role_with_token(sts, self.identity.web))
        for role in self.identity.roles:
            source = session.get_credentials()
            if source is None:
                raise LoginError(NO_CREDENTIALS)
            _set_credentials(
                session, _assumed_role(partial(sts, config=_config(self.identity)), source, role)
            )
        return session


def login(target: AwsTarget, file: Path) -> Login:
    """Return the login that the provider uses: region and identity from the keys of a stack file."""
    return Login(target.region or "", identity({**_project_config(), **document(file).get("config", {})}))


def bounded(**options: Any) -> "Config":
    """Return a configuration of botocore that limits the time and attempts of every request."""
    from botocore.config import Config  # noqa: PLC0415

    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        user_agent_extra="dynamo-multinode",
        **options,
    )


def _project_config() -> Mapping[str, Any]:
    """Return the project's own configuration, with plain values."""
    config: Mapping[str, Any] = document(PROJECT_FILE).get("config", {}) if PROJECT_FILE.is_file() else {}
    return {
        key: value["value"] if isinstance(value, dict) and "value" in value else value
        for key, value in config.items()
    }


def _base_session(identity: Identity, region: str) -> "botocore.session.Session":
    """Return a session before any role is assumed."""
    from botocore.session import Session  # noqa: PLC0415

    session = Session(profile=identity.profile)
    session.set_config_variable("region", region)
    for variable, value in (
        ("config_file", identity.config_file),
        ("credentials_file", identity.credentials_file),
        ("ec2_metadata_service_endpoint", identity.metadata_endpoint),
        ("ec2_metadata_service_endpoint_mode", identity.metadata_mode),
    ):
        if value is not None:
            session.set_config_variable(variable, value)
    if identity.static is not None:
        session.set_credentials(*identity.static)
    elif not identity.metadata:
        session.get_component("credential_provider").remove("iam-role")
    return session


def _set_credentials(session: "botocore.session.Session", credentials: "Credentials") -> None:
    session._credentials = credentials  # type: ignore[attr-defined]  # botocore has no other way to set credentials that renew themselves


def _assumed_role(sts: Any, source: "Credentials", role: Role) -> "Credentials":
    from botocore.credentials import (  # noqa: PLC0415
        AssumeRoleCredentialFetcher,
        DeferredRefreshableCredentials,
    )

    fetcher = AssumeRoleCredentialFetcher(sts, source, role.arn, extra_args=dict(role.parameters))
    return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


def _assumed_role_with_token(sts: Any, web: WebIdentity) -> "Credentials":
    from botocore.credentials import (  # noqa: PLC0415
        AssumeRoleWithWebIdentityCredentialFetcher,
        DeferredRefreshableCredentials,
    )

    def token() -> str:
        return (
            web.token if web.token is not None else Path(web.file or "").read_text(encoding="utf-8").strip()
        )

    fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
        sts, token, web.role.arn, extra_args=dict(web.role.parameters)
    )
    return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role-with-web-identity")


def _config(identity: Identity) -> "Config":
    options = {"use_fips_endpoint": True} if identity.fips else {}
    options |= {"use_dualstack_endpoint": True} if identity.dualstack else {}
    return bounded(**options, **({"proxies": dict(identity.proxies)} if identity.proxies else {}))


def _verify(identity: Identity) -> bool | str | None:
    """Return boto3's `verify`: a CA bundle, False to skip the check, or None for boto3's own bundle."""
    return (identity.ca_bundle or None) if identity.verify else False


def _refusal(identity: Identity, error: Mapping[str, Any]) -> str:
    roles = [*([identity.web.role] if identity.web else []), *identity.roles]
    actor = ", then ".join(role.arn for role in roles) or "the credentials"
    message = " ".join(str(error.get("Message", "")).split())
    return f"{actor}: {error.get('Code', '')}: {message}"[:_MESSAGE_LENGTH]


def _check_account_number(account: Account) -> None:
    """Raise LoginError if the provider's keys do not allow the account."""
    identity = account.identity
    if not identity.allowed_accounts and not identity.forbidden_accounts:
        return
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        caller = account.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise LoginError(" ".join(str(error).split())[:_MESSAGE_LENGTH]) from None
    if caller in identity.forbidden_accounts or (
        identity.allowed_accounts and caller not in identity.allowed_accounts
    ):
        key = "forbiddenAccountIds" if caller in identity.forbidden_accounts else "allowedAccountIds"
        raise LoginError(f"{caller}: `aws:{key}` keeps `up` out of this account")
