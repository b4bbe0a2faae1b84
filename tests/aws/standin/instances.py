"""Launch templates, and the instances that are launched from them."""

import base64
import binascii
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from plugins.command.wire import UNKNOWN
from tests.aws.standin import tags
from tests.aws.standin.kinds import Account, Kind, Properties, changed, numbers
from tests.aws.standin.things import GONE

_SWITCH: Final = "updateDefaultVersion"
_TAGS: Final = "tagSpecifications"

_DATA: Final = {
    "blockDeviceMappings",
    "capacityReservationSpecification",
    "ebsOptimized",
    "iamInstanceProfile",
    "imageId",
    "instanceInitiatedShutdownBehavior",
    "instanceMarketOptions",
    "instanceType",
    "keyName",
    "metadataOptions",
    "monitoring",
    "networkInterfaces",
    "placement",
    _TAGS,
    "userData",
    "vpcSecurityGroupIds",
}
"""Inputs of a launch template that say what an instance is."""

_RENAMED: Final = {"securityGroups": "Groups", "vpcSecurityGroupIds": "SecurityGroupIds"}
_WORDS: Final = {"true": True, "false": False}
"""Switches that the official provider takes as text, so that none can be told from false."""


def data(inputs: Properties) -> dict[str, Any]:
    """Return the content of a launch template as EC2 takes it."""
    content: dict[str, Any] = _content(
        {key: inputs[key] for key in sorted((_DATA - {_TAGS}) & inputs.keys())}
    )
    if inputs.get(_TAGS):
        content["TagSpecifications"] = [
            {"ResourceType": specification["resourceType"], "Tags": tags.listed(specification["tags"])}
            for specification in inputs[_TAGS]
        ]
    return content


def _content(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            _RENAMED.get(key, key[0].upper() + key[1:]): _content(item)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [_content(item) for item in value]
    return _WORDS.get(value, value) if isinstance(value, str) else numbers(value)


def _create_template(account: Account, inputs: Properties) -> str:
    answer = account.ec2.create_launch_template(
        LaunchTemplateName=inputs["name"],
        LaunchTemplateData=data(inputs),
        **tags.specification("launch-template", inputs),
    )
    return str(answer["LaunchTemplate"]["LaunchTemplateId"])


def _read_template(account: Account, identity: str, state: Properties) -> Properties | None:
    found = account.ec2.describe_launch_templates(LaunchTemplateIds=[identity])["LaunchTemplates"]
    if not found:
        return None
    template = found[0]
    versions = account.ec2.describe_launch_template_versions(LaunchTemplateId=identity, Versions=["$Latest"])[
        "LaunchTemplateVersions"
    ]
    return {
        "arn": account.arn("ec2", f"launch-template/{identity}"),
        "name": template["LaunchTemplateName"],
        "defaultVersion": template["DefaultVersionNumber"],
        "latestVersion": template["LatestVersionNumber"],
        **_drifted(versions[0]["LaunchTemplateData"], state),
        **tags.mapped(template.get("Tags", [])),
    }


def _drifted(content: dict[str, Any], state: Properties) -> Properties:
    """Return the inputs that the newest version has otherwise; those that it has not are None."""
    asked, now = data({**state, _TAGS: None}), {**content, "TagSpecifications": None}
    names = {key: _RENAMED.get(key, key[0].upper() + key[1:]) for key in _DATA}
    found = {key: now.get(name) for key, name in names.items() if asked.get(name) != now.get(name)}
    tagged = [
        {
            "resourceType": specification["ResourceType"],
            "tags": {tag["Key"]: tag["Value"] for tag in specification["Tags"]},
        }
        for specification in content.get("TagSpecifications", [])
        if specification["ResourceType"] != "launch-template"  # moto counts in those of the template itself
    ]
    return found if tagged == (state.get(_TAGS) or []) else {**found, _TAGS: tagged}


def _update_template(account: Account, identity: str, old: Properties, new: Properties) -> None:
    if changed(old, new, *_DATA):
        account.ec2.create_launch_template_version(LaunchTemplateId=identity, LaunchTemplateData=data(new))
    if new.get(_SWITCH):
        [template] = account.ec2.describe_launch_templates(LaunchTemplateIds=[identity])["LaunchTemplates"]
        latest = str(template["LatestVersionNumber"])
        account.ec2.modify_launch_template(LaunchTemplateId=identity, DefaultVersion=latest)
    tags.update(account, identity, old, new)


def _delete_template(account: Account, identity: str, state: Properties) -> None:
    if account.ec2.describe_launch_templates(LaunchTemplateIds=[identity])["LaunchTemplates"]:
        account.ec2.delete_launch_template(LaunchTemplateId=identity)


def _versions(changed: Iterable[str], new: Properties) -> Iterable[str]:
    """Name the versions that may change: the official provider counts tags in, though they make none."""
    louder = set(changed) - {"name"}
    if louder and new.get(_SWITCH):
        yield "defaultVersion"
    if louder - {_SWITCH}:
        yield "latestVersion"


def _template_wrong(inputs: Properties) -> dict[str, str]:
    text = inputs.get("userData")
    if text is None or text == UNKNOWN:
        return {}
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return {"userData": "expected user data encoded with base64; EC2 calls it InvalidUserData.Malformed"}
    return {}


LAUNCH_TEMPLATE: Final = Kind(
    inputs=frozenset(_DATA) | {"name", _SWITCH, "tags"},
    create=_create_template,
    read=_read_template,
    update=_update_template,
    delete=_delete_template,
    named="name",
    replaces=frozenset({"name"}),
    renewed=_versions,
    wrong=_template_wrong,
    source="terraform-provider-aws: internal/service/ec2/ec2_launch_template.go, ForceNew and CustomizeDiff",
)

_NAMED_VERSIONS: Final = {"$Latest": "LatestVersionNumber", "$Default": "DefaultVersionNumber"}
_CAPACITY: Final = "InsufficientInstanceCapacity"
_HASTE: Final = 1000
"""Waits of the official provider are this many times as long: tests need not wait for capacity."""


def _launch(account: Account, inputs: Properties) -> str:
    group = inputs.get("placementGroup")
    asked: dict[str, Any] = {
        "MinCount": 1,
        "MaxCount": 1,
        "LaunchTemplate": _from(inputs),
        # sent beside a launch template as well, empty where the resource names no group
        "Placement": {"GroupName": group} if group else {},
    }
    kinds = {"instance": inputs.get("tags"), "volume": inputs.get("volumeTags")}
    asked["TagSpecifications"] = [
        {"ResourceType": kind, "Tags": tags.listed(found)} for kind, found in kinds.items() if found
    ]
    for attempt in range(1, account.attempts + 1):
        try:
            return str(account.ec2.run_instances(**asked)["Instances"][0]["InstanceId"])
        except ClientError as error:
            if attempt == account.attempts or error.response["Error"]["Code"] != _CAPACITY:
                raise
            time.sleep(_wait(attempt) / _HASTE)
    raise AssertionError("the last try returns or raises")


def _wait(attempt: int) -> float:
    """Return the seconds after an attempt, on average: internal/conns/backoff.go, v1CompatibleBackoff."""
    return min(2.0**attempt * 0.045, 225)


def _from(inputs: Properties) -> dict[str, str]:
    template = inputs["launchTemplate"]
    chosen = {"LaunchTemplateId": template.get("id"), "LaunchTemplateName": template.get("name")}
    version = str(numbers(template.get("version") or "$Default"))
    return {**{key: value for key, value in chosen.items() if value}, "Version": version}


def _described(account: Account, identity: str) -> dict[str, Any] | None:
    try:
        found = account.ec2.describe_instances(InstanceIds=[identity])["Reservations"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "InvalidInstanceID.NotFound":
            return None
        raise
    instance: dict[str, Any] = found[0]["Instances"][0]
    return None if instance["State"]["Name"] in GONE else instance


def _read_instance(account: Account, identity: str, state: Properties) -> Properties | None:
    instance = _described(account, identity)
    if instance is None:
        return None
    own = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    primary = next(
        interface
        for interface in instance["NetworkInterfaces"]
        if (interface["Attachment"]["NetworkCardIndex"], interface["Attachment"]["DeviceIndex"]) == (0, 0)
    )
    return {
        "arn": account.arn("ec2", f"instance/{identity}"),
        "ami": instance["ImageId"],
        "availabilityZone": instance["Placement"]["AvailabilityZone"],
        "placementGroup": instance["Placement"].get("GroupName", ""),
        "instanceState": instance["State"]["Name"],
        "instanceType": instance["InstanceType"],
        "keyName": instance.get("KeyName", ""),
        "primaryNetworkInterfaceId": primary["NetworkInterfaceId"],
        "privateIp": instance["PrivateIpAddress"],
        "publicIp": instance.get("PublicIpAddress", ""),
        "subnetId": primary["SubnetId"],
        **_user_data(account, identity),
        **_launched(account, own, state),
        **tags.mapped(instance.get("Tags", [])),
    }


def _user_data(account: Account, identity: str) -> Properties:
    """Return user data in clear and as it came, also where a launch template gave it.

    The official provider fills the second only where it was given; here both are there to be hidden.
    """
    answer = account.ec2.describe_instance_attribute(InstanceId=identity, Attribute="userData")
    encoded = answer["UserData"].get("Value")
    if not encoded:
        return {}
    return {"userData": base64.b64decode(encoded).decode(), "userDataBase64": encoded}


def _launched(account: Account, own: Mapping[str, str], state: Properties) -> Properties:
    """Return the version that it runs, which takes the place of `$Latest` and `$Default` that are others."""
    running, asked = own.get("aws:ec2launchtemplate:version", ""), state.get("launchTemplate") or {}
    key = _NAMED_VERSIONS.get(str(asked.get("version")))
    if key is not None:
        identity = own["aws:ec2launchtemplate:id"]
        found = account.ec2.describe_launch_templates(LaunchTemplateIds=[identity])["LaunchTemplates"]
        if found and str(found[0][key]) != running:
            return {"launchTemplate": {**asked, "version": running}, "launchedVersion": running}
    return {"launchedVersion": running}


def _update_instance(account: Account, identity: str, old: Properties, new: Properties) -> None:
    tags.update(account, identity, old, new)
    if changed(old, new, "volumeTags"):
        instance = _described(account, identity) or {}
        before, after = {"tags": old.get("volumeTags")}, {"tags": new.get("volumeTags")}
        for volume in instance.get("BlockDeviceMappings", []):
            tags.update(account, volume["Ebs"]["VolumeId"], before, after)


def _terminate(account: Account, identity: str, state: Properties) -> None:
    if _described(account, identity) is not None:
        account.ec2.terminate_instances(InstanceIds=[identity])


def _elsewhere(old: Properties, new: Properties) -> Iterable[str]:
    """Name what an instance is replaced for: another place, or another template."""
    group = new.get("placementGroup")
    if group and group != old.get("placementGroup"):
        yield "placementGroup"
    yield from _another_template(old, new)


def _another_template(old: Properties, new: Properties) -> Iterable[str]:
    """Name the launch template when it is another, or when another version is asked for than runs.

    A version that only the update itself will know counts as another. So does `$Latest` in place of a number,
    for which the official provider asks EC2.
    """
    before, after = old.get("launchTemplate") or {}, new.get("launchTemplate") or {}
    if any(before.get(key) != after.get(key) for key in ("id", "name")):
        return ("launchTemplate",)
    versions = [str(numbers(entry.get("version"))) for entry in (before, after)]
    another = versions[0] != versions[1] and versions[1] != old.get("launchedVersion")
    return ("launchTemplate",) if another else ()


INSTANCE: Final = Kind(
    inputs=frozenset({"launchTemplate", "placementGroup", "volumeTags", "tags"}),
    create=_launch,
    read=_read_instance,
    update=_update_instance,
    delete=_terminate,
    replaced=_elsewhere,
    source="terraform-provider-aws: internal/service/ec2/ec2_instance.go, ForceNew and CustomizeDiff; user "
    "data in clear since 6: pull request 42078",
)
