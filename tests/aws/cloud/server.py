"""The server: moto's, in this process, so that tests can look at and change what it holds."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import boto3
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.ssm.models import Parameter, ssm_backends

from planning.aws.images import PARAMETER as IMAGE_PARAMETER
from tests.aws.cloud import actions, prices, quotas
from tests.aws.cloud.actions import Machines, NoMachines, current
from tests.aws.cloud.state import State

REGION: Final = "us-east-1"
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


class Cloud:
    """An account in one region; `environment` leads every AWS client there."""

    def __init__(self) -> None:
        """Start the server."""
        os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line a request hides what failed
        actions.install()
        quotas.install()
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        prices.add(self._server)
        self.reset()

    @property
    def url(self) -> str:
        """Return where the server answers."""
        host, port = self._server.get_host_and_port()
        return f"http://{host}:{port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the environment of a client of this account."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url, "AWS_EC2_METADATA_DISABLED": "true"}

    @property
    def state(self) -> State:
        """Return what moto does not know."""
        return current.state

    @property
    def ec2(self) -> Any:
        """Return moto's own EC2."""
        return ec2_backends[DEFAULT_ACCOUNT_ID][REGION]

    def client(self, service: str) -> Any:
        """Return a boto3 client."""
        return boto3.client(
            service,  # type: ignore[call-overload]
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def reset(self, machines: Machines | None = None) -> None:
        """Forget everything; from now on instances have `machines`, or are entries in books."""
        moto_api_backend.reset()
        self.forget()
        current.machines = machines or NoMachines()
        self.publish_image("ubuntu-1")

    def forget(self) -> None:
        """Forget what moto does not know: placement groups, reservations, quotas."""
        current.state = State()

    def publish_image(self, name: str) -> str:
        """Register an image and make it the newest Deep Learning AMI; return its id."""
        image = self.client("ec2").register_image(Name=name, RootDeviceName="/dev/sda1")["ImageId"]
        backend = ssm_backends[DEFAULT_ACCOUNT_ID][REGION]
        # by hand: SSM refuses to put what begins with /aws
        backend._parameters[IMAGE_PARAMETER].append(_parameter(image))
        return str(image)

    def inventory(self) -> dict[str, list[str]]:
        """Return what there is in the account, by kind; terminated instances and deleted gateways are not."""
        found = {
            kind: sorted(str(identity) for identity in identities) for kind, identities in self._things()
        }
        return {kind: identities for kind, identities in found.items() if identities}

    def _things(self) -> Iterator[tuple[str, Iterable[object]]]:
        ec2, access = self.ec2, iam_backends[DEFAULT_ACCOUNT_ID]["aws"]
        yield "instances", (instance.id for instance in ec2.all_running_instances())
        yield "interfaces", ec2.enis
        yield "volumes", ec2.volumes
        yield "templates", ec2.launch_templates
        yield "key pairs", ec2.key_pairs
        yield "addresses", (address.allocation_id for address in ec2.addresses)
        yield (
            "NAT gateways",
            (gateway.id for gateway in ec2.nat_gateways.values() if gateway.state != "deleted"),
        )
        yield "internet gateways", ec2.internet_gateways
        yield (
            "endpoints",
            (endpoint.id for endpoint in ec2.vpc_end_points.values() if endpoint.state != "deleted"),
        )
        yield "route tables", ec2.route_tables
        yield "security groups", (group.id for group in ec2.describe_security_groups())
        yield "subnets", (subnet.id for subnet in ec2.describe_subnets())
        yield "VPCs", ec2.vpcs
        yield "placement groups", current.state.groups
        yield "roles", access.roles
        yield "instance profiles", access.instance_profiles

    def stop(self) -> None:
        """Stop the server."""
        self._server.stop()


def _parameter(image: str) -> Parameter:
    return Parameter(  # type: ignore[abstract]
        account_id=DEFAULT_ACCOUNT_ID,
        name=IMAGE_PARAMETER,
        value=image,
        parameter_type="String",
        description=None,
        allowed_pattern=None,
        keyid=None,
        last_modified_date=datetime.now(UTC),
        version=1,
        data_type="aws:ec2:image",
    )
