"""EC2 as the cloud, by boto3: tagged instances, idempotent launches.

The same adapter speaks to moto in a rehearsal, to a moto server, and to AWS. It keeps to RunInstances, DescribeInstances and
TerminateInstances; every instance of ours carries the tags below, and nothing else is ever listed or terminated.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from ..core.ports import CloudError, CloudInstance

TAG_FLEET = "windtunnel:fleet"
TAG_NUMBER = "windtunnel:instance"
TAG_ROLE = "windtunnel:role"
TAG_LAUNCHED = "windtunnel:launched"

_LIVE_STATES = ["pending", "running"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Machine:
    """What an instance is made of."""

    image: str
    instance_type: str = "t3.micro"


def _guard(call: Callable[[], T]) -> T:
    """Botocore's errors become CloudError here: SimPy could not copy a ClientError, and the engine knows no botocore."""
    try:
        return call()
    except ClientError as error:
        details = error.response.get("Error", {})
        raise CloudError(str(details.get("Code", "Unknown")), str(details.get("Message", ""))) from None
    except BotoCoreError as error:
        raise CloudError("Unavailable", str(error)) from None


class Ec2Cloud:
    """Implements core.ports.Cloud on an EC2 client. *now* gives ns since the start; *address* makes an instance's address."""

    def __init__(
        self,
        client: Any,
        fleet: str,
        machine: Machine,
        now: Callable[[], int],
        address: Callable[[int, dict[str, Any]], str],
    ) -> None:
        self._ec2 = client
        self._fleet = fleet
        self._machine = machine
        self._now = now
        self._address = address

    def launch(self, number: int, role: str, token: str) -> CloudInstance:
        """See core.ports.Cloud. MinCount equals MaxCount: exactly one instance a call."""
        tags = {
            TAG_FLEET: self._fleet,
            TAG_NUMBER: str(number),
            TAG_ROLE: role,
            TAG_LAUNCHED: str(self._now()),
        }
        answer = _guard(
            lambda: self._ec2.run_instances(
                ImageId=self._machine.image,
                InstanceType=self._machine.instance_type,
                MinCount=1,
                MaxCount=1,
                ClientToken=token,
                TagSpecifications=[
                    {
                        "ResourceType": "instance",
                        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                    }
                ],
            )
        )
        return self._instance(answer["Instances"][0])

    def terminate(self, provider_id: str) -> None:
        """See core.ports.Cloud. What does not carry our tag is left alone, whatever the registry says of it."""
        if any(instance.provider_id == provider_id for instance in self.list()):
            _guard(lambda: self._ec2.terminate_instances(InstanceIds=[provider_id]))

    def list(self) -> tuple[CloudInstance, ...]:
        """See core.ports.Cloud. Paginated, filtered by our tag."""
        found = [self._instance(item) for item in _guard(lambda: list(self._described()))]
        return tuple(sorted(found, key=lambda instance: instance.number))

    def _described(self) -> Iterable[dict[str, Any]]:
        pages = self._ec2.get_paginator("describe_instances").paginate(
            Filters=[
                {"Name": f"tag:{TAG_FLEET}", "Values": [self._fleet]},
                {"Name": "instance-state-name", "Values": _LIVE_STATES},
            ]
        )
        for page in pages:
            for reservation in page["Reservations"]:
                yield from reservation["Instances"]

    def _instance(self, item: dict[str, Any]) -> CloudInstance:
        tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}
        number = int(tags[TAG_NUMBER])
        return CloudInstance(
            number=number,
            provider_id=item["InstanceId"],
            address=self._address(number, item),
            role=tags.get(TAG_ROLE, ""),
            state=item["State"]["Name"],
            launched=int(tags.get(TAG_LAUNCHED, "0")),
        )
