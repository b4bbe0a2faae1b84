"""The provider as Pulumi's engine sees it: a gRPC server whose port is all it ever prints.

Protocol: `proto/pulumi/provider.proto` of Pulumi's SDK, with the values of the command provider's `wire`.
"""
# ruff: noqa: N802 -- the protocol names the methods and their arguments

import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any, Final, NoReturn, TypeVar

import grpc  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf.empty_pb2 import Empty

from plugins.command import wire
from plugins.command.protocol import plugin_pb2, provider_pb2, provider_pb2_grpc
from tests.aws.standin.kinds import Account, Kind, Properties
from tests.aws.standin.table import KINDS

VERSION: Final = version("pulumi-aws")
"""Version of pulumi-aws that this provider stands in for."""

DEFAULTS: Final = "__defaults"
"""Input that names those inputs which the provider chose itself, as in the official provider's state."""

ATTEMPTS: Final = 25
"""Of every request, where `aws:maxRetries` says no number; AWS_MAX_ATTEMPTS says nothing beside it.

Source: terraform-provider-aws, internal/provider/sdkv2/provider.go; aws-sdk-go-base, GetAwsConfig, whose own
number comes before the environment's.
"""

_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"
_UNLIMITED: Final = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_WORKERS: Final = 32
_HEX: Final = 7
"""Digits that a name of a resource's own ends with."""

T = TypeVar("T")
Context = Any
"""A `grpc.ServicerContext`: grpc ships no types."""


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves the resource types of the table, and two functions: a parameter's value, an image."""

    _account: Account

    def Handshake(self, request: Any, context: Context) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: Empty, context: Context) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: Any, context: Context) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Context) -> Any:
        return provider_pb2.DiffResponse()

    def Configure(self, request: Any, context: Context) -> Any:
        given = wire.read(request.args)
        region = given.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not region:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Missing required configuration key: aws:region")
        attempts = int(given.get("maxRetries") or ATTEMPTS)
        self._account = Account(str(region), given.get("profile"), attempts)
        if not self._account.known:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                "unable to validate AWS credentials.\nDetails: No valid credential sources found.",
            )
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Cancel(self, request: Empty, context: Context) -> Empty:
        return Empty()

    def Check(self, request: Any, context: Context) -> Any:
        kind, news, olds = _kind(request.type, context), wire.read(request.news), wire.read(request.olds)
        why = f"the stand-in does not serve this property of {request.type}; see docs/aws-stand-in.md"
        failures = dict.fromkeys(sorted(news.keys() - kind.inputs - {DEFAULTS}), why)
        failures |= kind.wrong(news)
        return provider_pb2.CheckResponse(
            inputs=wire.write(_named(kind, request.name, news, olds)),
            failures=[provider_pb2.CheckFailure(property=key, reason=why) for key, why in failures.items()],
        )

    def Diff(self, request: Any, context: Context) -> Any:
        kind = _kind(request.type, context)
        state, old, new = (wire.read(entry) for entry in (request.olds, request.old_inputs, request.news))
        replaced = set(kind.replaced(state, _without(new, state, request.ignoreChanges)))
        changed = sorted({*_changed(kind, old, new), *replaced})
        replaces = sorted(set(changed) & kind.replaces | replaced)
        some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some if changed else none,
            diffs=changed,
            replaces=replaces,
            # two of the same name cannot be: nameRequiresDeleteBeforeReplace of Pulumi's Terraform bridge
            deleteBeforeReplace=bool(replaces and kind.named and kind.named not in new.get(DEFAULTS, ())),
        )

    def Create(self, request: Any, context: Context) -> Any:
        kind, inputs = _kind(request.type, context), wire.read(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=wire.write(inputs))
        identity = _asked(context, "creating", lambda: kind.create(self._account, inputs))
        found = _asked(context, "reading", lambda: kind.read(self._account, identity, inputs))
        state = wire.write(_state(inputs, found or {}))
        return provider_pb2.CreateResponse(id=identity, properties=state)

    def Update(self, request: Any, context: Context) -> Any:
        kind = _kind(request.type, context)
        state, old, new = (wire.read(entry) for entry in (request.olds, request.old_inputs, request.news))
        kept = {key: value for key, value in state.items() if key not in old}
        if request.preview:
            renewed = dict.fromkeys(kind.renewed(_changed(kind, old, new), new), wire.UNKNOWN)
            return provider_pb2.UpdateResponse(properties=wire.write({**kept, **new, **renewed}))
        _asked(context, "updating", lambda: kind.update(self._account, request.id, old, new))
        found = _asked(context, "reading", lambda: kind.read(self._account, request.id, {**kept, **new}))
        return provider_pb2.UpdateResponse(properties=wire.write(_state({**kept, **new}, found or {})))

    def Delete(self, request: Any, context: Context) -> Empty:
        kind, state = _kind(request.type, context), wire.read(request.properties)
        _asked(context, "deleting", lambda: kind.delete(self._account, request.id, state))
        return Empty()

    def Read(self, request: Any, context: Context) -> Any:
        kind = _kind(request.type, context)
        state, inputs = wire.read(request.properties), wire.read(request.inputs)
        found = _asked(context, "reading", lambda: kind.read(self._account, request.id, state))
        if found is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=wire.write(_state(state, found)),
            inputs=wire.write(_refreshed(kind, inputs, found)),
        )

    def Invoke(self, request: Any, context: Context) -> Any:
        functions = {
            "aws:ssm/getParameter:getParameter": self._parameter,
            "aws:ec2/getAmi:getAmi": self._image,
        }
        if request.tok not in functions:
            _refuse(request.tok, context)
        answer = functions[request.tok](wire.read(request.args), context)
        return provider_pb2.InvokeResponse(**{"return": wire.write(answer)})  # type: ignore[arg-type]

    def _image(self, asked: Properties, context: Context) -> Properties:
        """Return the one image that the filters let through; none or several are an error, as officially."""
        filters = [
            {"Name": condition["name"], "Values": condition["values"]} for condition in asked["filters"]
        ]
        found = _asked(
            context, "reading", lambda: self._account.ec2.describe_images(Filters=filters)["Images"]
        )
        if len(found) != 1:
            context.abort(grpc.StatusCode.UNKNOWN, f"Your query returned {len(found) or 'no'} results")
        return {
            "id": found[0]["ImageId"],
            "imageId": found[0]["ImageId"],
            "architecture": found[0].get("Architecture", "x86_64"),  # moto's own images say none
            "rootDeviceName": found[0]["RootDeviceName"],
            "rootDeviceType": found[0]["RootDeviceType"],
            "filters": asked["filters"],
            "region": self._account.region,
        }

    def _parameter(self, asked: Properties, context: Context) -> Properties:
        """Return a parameter, its value secret."""
        name = asked["name"]
        parameter = _asked(
            context, "reading", lambda: self._account.ssm.get_parameter(Name=name)["Parameter"]
        )
        value = parameter["Value"]
        return {
            "id": name,
            "name": name,
            "arn": parameter["ARN"],
            "type": parameter["Type"],
            "version": parameter["Version"],
            "region": self._account.region,
            "insecureValue": value,
            # secret whatever its type, as with the official provider
            "value": {wire.SIGNATURE: _SECRET, "value": value},
        }


def _named(kind: Kind, name: str, news: Properties, olds: Properties) -> Properties:
    """Return inputs with a name of the resource's own, which it keeps, where it needs one and has none."""
    if kind.named is None or kind.named in news:
        return news
    own = olds.get(kind.named) if kind.named in olds.get(DEFAULTS, ()) else None
    return {**news, kind.named: own or f"{name}-{secrets.token_hex(_HEX)[:_HEX]}", DEFAULTS: [kind.named]}


def _without(new: Properties, state: Properties, paths: Iterable[str]) -> Properties:
    """Return new inputs without those changes that are ignored (`KEY` or `KEY.KEY`): there state counts.

    The engine puts the last inputs there; the official provider's bridge leaves the path out of its diff.
    """
    found = dict(new)
    for path in paths:
        key, _, below = path.partition(".")
        if not below:
            found[key] = state.get(key)
        elif isinstance(found.get(key), dict):
            found[key] = {**found[key], below: (state.get(key) or {}).get(below)}
    return found


def _changed(kind: Kind, old: Properties, new: Properties) -> list[str]:
    """Return the inputs that differ."""

    def compared(inputs: Properties, key: str) -> Any:
        value = inputs.get(key)
        return sorted(map(str, value)) if key in kind.sets and isinstance(value, list) else value

    keys = sorted((old.keys() | new.keys()) - {DEFAULTS})
    return [key for key in keys if compared(old, key) != compared(new, key)]


def _state(inputs: Properties, found: Properties) -> Properties:
    """Return inputs and outputs together; what AWS says counts."""
    return {key: value for key, value in {**inputs, **found}.items() if value is not None}


def _refreshed(kind: Kind, inputs: Properties, found: Properties) -> Properties:
    """Return the inputs as AWS has them now; what no input asked for is no input, but for tags."""
    asked = inputs | ({"tags": {}} if "tags" in kind.inputs and "tags" not in inputs else {})
    now = {key: found.get(key, value) for key, value in asked.items()}
    same = {key: inputs[key] for key in inputs if key not in _changed(kind, inputs, now)}
    return {key: value for key, value in {**now, **same}.items() if value not in (None, {})}


def _kind(token: str, context: Context) -> Kind:
    if token not in KINDS:
        _refuse(token, context)
    return KINDS[token]


def _refuse(token: str, context: Context) -> NoReturn:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stand-in for aws does not serve {token}")
    raise AssertionError("abort raises")


def _asked(context: Context, doing: str, ask: Callable[[], T]) -> T:
    """Return an answer of AWS; a refusal ends the call with AWS's code and words."""
    try:
        return ask()
    except ClientError as error:
        refusal = error.response["Error"]
        text = (
            f"{doing}: operation error {error.operation_name}, "
            f"api error {refusal['Code']}: {refusal['Message']}"
        )
    except (BotoCoreError, NotImplementedError) as error:
        text = f"{doing}: {error}"
    context.abort(grpc.StatusCode.UNKNOWN, text)
    raise AssertionError("abort raises")


def main() -> None:
    """Serve until the engine ends or asks to."""
    engine = os.getppid()
    server = grpc.server(ThreadPoolExecutor(_WORKERS), options=_UNLIMITED)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    while os.getppid() == engine:
        time.sleep(1)
    server.stop(grace=None)
