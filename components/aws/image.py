"""The image that instances boot: looked up once, so that AWS publishing a newer one replaces no machine."""

import pulumi
import pulumi_command as command
from pulumi_aws import ec2, ssm

from planning.aws.images import PARAMETER, ROOT_DEVICE
from settings.aws.target import AmiSettings


def root_device(settings: AmiSettings, opts: pulumi.ResourceOptions) -> pulumi.Input[str]:
    """Return what the image calls its root: a mapping under another name would only add a volume."""
    if settings.id is None:
        return ROOT_DEVICE
    ami = ec2.get_ami_output(
        filters=[{"name": "image-id", "values": [settings.id]}],
        include_deprecated=True,
        opts=pulumi.InvokeOutputOptions(parent=opts.parent),
    )
    return ami.root_device_name


def image(settings: AmiSettings, region: str, opts: pulumi.ResourceOptions) -> pulumi.Input[str]:
    """Return the id of the image: the given one, or the newest as it was when `release` last changed.

    State remembers it: what the command was given stays as it was, until the triggers replace it.
    """
    if settings.id is not None:
        return settings.id
    newest_image = ssm.get_parameter_output(
        name=PARAMETER, opts=pulumi.InvokeOutputOptions(parent=opts.parent)
    )
    image_command = command.local.Command(
        "image",
        create="cat",
        stdin=pulumi.Output.unsecret(newest_image.apply(lambda parameter: parameter.value)),
        triggers=[settings.release, region],
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=["stdin"])),
    )
    return image_command.stdout
