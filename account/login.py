"""Where and as whom the account is asked: boto3, imported when first needed, with a bound on every wait.

As the AWS provider would ask (`account.identity`), or not at all.
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

NOBODY: Final = "no AWS credentials; `aws sso login`, `aws configure` or AWS_PROFILE sets them up"

PROJECT_FILE: Final = Path("Pulumi.yaml")
"""Has configuration for all stacks, which a stack file goes over."""

CONNECT_SECONDS: Final = 2
READ_SECONDS: Final = 5
ATTEMPTS: Final = 2
"""Each request, so that an answer or its absence takes seconds: no answer refuses nothing."""

_SHOWN: Final = 200


class LoginError(Exception):
    """Nobody can ask as the provider would; the text says why."""


@dataclass(frozen=True)
class Account:
    """Who asks: a session of boto3 that has its credentials."""

    session: "Session"
    asks: Identity

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a client of a service of AWS, by default in the region of the login."""
        # the provider has no hyphens: `servicequotas`
        url = (self.asks.endpoints or {}).get(service.replace("-", ""))
        return self.session.client(  # type: ignore[call-overload]
            service,
            region_name=region,
            endpoint_url=url,
            verify=_verified(self.asks),
            config=_config(self.asks),
        )


@dataclass(frozen=True)
class Login:
    """A region, and who acts there; by default whoever the environment says."""

    region: str
    asks: Identity = field(default_factory=Identity)

    def open(self) -> Account:
        """Return the account to ask. Raises LoginError where nobody can be asked as the provider would."""
        from boto3 import Session  # noqa: PLC0415 - half a second, for target aws alone
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        if self.asks.unlike is not None:
            raise LoginError(
                f"{self.asks.unlike}, and without it another account might answer than the one that `up` "
                "acts in"
            )
        try:
            core = self._session()
            found = core.get_credentials()
            if found is None:
                raise LoginError(NOBODY)
            found.get_frozen_credentials()
        except ClientError as error:
            raise LoginError(_refused(self.asks, error.response["Error"])) from None
        except (BotoCoreError, OSError) as error:
            raise LoginError(" ".join(str(error).split())[:_SHOWN]) from None
        opened = Account(Session(botocore_session=core, region_name=self.region), self.asks)
        _check_number(opened)
        return opened

    def _session(self) -> "botocore.session.Session":
        """Return the session with the credentials of the last role, or those that there are."""
        core = _base(self.asks, self.region)
        sts = partial(
            core.create_client,
            region_name=self.asks.sts_region or self.region,
            endpoint_url=(self.asks.endpoints or {}).get("sts"),
            verify=_verified(self.asks),
        )
        if self.asks.web is not None:
            _set(core, _by_token(sts, self.asks.web))
        for role in self.asks.roles:
            source = core.get_credentials()
            if source is None:
                raise LoginError(NOBODY)
            _set(core, _taken_on(partial(sts, config=_config(self.asks)), source, role))
        return core


def login(target: AwsTarget, file: Path) -> Login:
    """Return what the provider uses as well: the region, and what the keys of a stack file say of it."""
    return Login(target.region or "", identity({**_of_the_project(), **document(file).get("config", {})}))


def bounded(**more: Any) -> "Config":
    """Return what bounds every request."""
    from botocore.config import Config  # noqa: PLC0415

    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        user_agent_extra="dynamo-multinode",
        **more,
    )


def _of_the_project() -> Mapping[str, Any]:
    """Return the project's own configuration, each value plain."""
    found: Mapping[str, Any] = document(PROJECT_FILE).get("config", {}) if PROJECT_FILE.is_file() else {}
    return {
        key: value["value"] if isinstance(value, dict) and "value" in value else value
        for key, value in found.items()
    }


def _base(asks: Identity, region: str) -> "botocore.session.Session":
    """Return a session without roles taken on."""
    from botocore.session import Session  # noqa: PLC0415

    core = Session(profile=asks.profile)
    core.set_config_variable("region", region)
    for variable, value in (
        ("config_file", asks.config_file),
        ("credentials_file", asks.credentials_file),
        ("ec2_metadata_service_endpoint", asks.metadata_endpoint),
        ("ec2_metadata_service_endpoint_mode", asks.metadata_mode),
    ):
        if value is not None:
            core.set_config_variable(variable, value)
    if asks.static is not None:
        core.set_credentials(*asks.static)
    elif not asks.metadata:
        core.get_component("credential_provider").remove("iam-role")
    return core


def _set(core: "botocore.session.Session", found: "Credentials") -> None:
    core._credentials = found  # type: ignore[attr-defined]  # botocore has no other way to set credentials that renew themselves


def _taken_on(sts: Any, source: "Credentials", role: Role) -> "Credentials":
    from botocore.credentials import (  # noqa: PLC0415
        AssumeRoleCredentialFetcher,
        DeferredRefreshableCredentials,
    )

    fetcher = AssumeRoleCredentialFetcher(sts, source, role.arn, extra_args=dict(role.parameters))
    return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


def _by_token(sts: Any, web: WebIdentity) -> "Credentials":
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


def _config(asks: Identity) -> "Config":
    more = {"use_fips_endpoint": True} if asks.fips else {}
    more |= {"use_dualstack_endpoint": True} if asks.dualstack else {}
    return bounded(**more, **({"proxies": dict(asks.proxies)} if asks.proxies else {}))


def _verified(asks: Identity) -> bool | str | None:
    """Return by which certificates servers are checked; None: by boto3's own."""
    return (asks.ca_bundle or None) if asks.verify else False


def _refused(asks: Identity, error: Mapping[str, Any]) -> str:
    roles = [*([asks.web.role] if asks.web else []), *asks.roles]
    named = ", then ".join(role.arn for role in roles) or "the credentials"
    return f"{named}: {error.get('Code', '')}: {' '.join(str(error.get('Message', '')).split())}"[:_SHOWN]


def _check_number(opened: Account) -> None:
    """Raise LoginError for an account that the provider would refuse."""
    asks = opened.asks
    if not asks.allowed and not asks.forbidden:
        return
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        number = opened.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise LoginError(" ".join(str(error).split())[:_SHOWN]) from None
    if number in asks.forbidden or (asks.allowed and number not in asks.allowed):
        key = "forbiddenAccountIds" if number in asks.forbidden else "allowedAccountIds"
        raise LoginError(f"{number}: `aws:{key}` keeps `up` out of this account")
