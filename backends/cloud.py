"""EC2 as the cloud, by boto3: tagged instances, idempotent launches.

The same adapter speaks to moto in a rehearsal, to a moto server, and to AWS. It keeps to RunInstances, DescribeInstances and
TerminateInstances; every instance of ours carries the tags below, and nothing else is ever listed or terminated.

A flight adds (see aws.flight): patience with a provider that throttles; a look at the tags before each launch, because a moto server
ignores ClientToken and AWS forgets it after a day; and a memory of what was launched a moment ago, because EC2's lists lag behind.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError

from ..core.model import SECOND
from ..core.ports import CloudError, CloudInstance
from .aws.flight import (
    ENDED,
    LEFT,
    LIVING,
    TAG_FLEET,
    TAG_LAUNCHED,
    TAG_NUMBER,
    TAG_ROLE,
    TAG_RUN,
    TAG_SPENT,
    TAG_TOKEN,
    Ended,
    Flight,
    Past,
    ended_at,
    fleet_filter,
    number_in,
    tags_of,
)
from .aws.user_data import fill_in

GRACE = 60 * SECOND
"""How long a launched instance counts although EC2 does not list it yet."""
_TOKEN_LENGTH = 64
_GONE = "InvalidInstanceID.NotFound"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Machine:
    """What an instance is made of; *user_data* is a template (see aws.user_data). What is empty is left to the provider."""

    image: str
    instance_type: str = "t3.micro"
    key_name: str = ""
    security_groups: tuple[str, ...] = ()
    subnet: str = ""
    profile: str = ""
    user_data: str = ""

    def parameters(self) -> dict[str, Any]:
        """For RunInstances, without the user data. Security groups and profile are told by id or ARN, or else by name."""
        ids = [group for group in self.security_groups if group.startswith("sg-")]
        names = [group for group in self.security_groups if not group.startswith("sg-")]
        given: dict[str, Any] = {
            "KeyName": self.key_name,
            "SecurityGroupIds": ids,
            "SecurityGroups": names,
            "SubnetId": self.subnet,
            "IamInstanceProfile": {"Arn" if self.profile.startswith("arn:") else "Name": self.profile}
            if self.profile
            else None,
        }
        chosen = {name: value for name, value in given.items() if value}
        return {"ImageId": self.image, "InstanceType": self.instance_type, **chosen}


class Ec2Cloud:
    """Implements core.ports.Cloud on an EC2 client, from any thread. *now* gives ns since the start; *address* makes an instance's address."""

    def __init__(
        self,
        client: Any,
        fleet: str,
        machine: Machine,
        now: Callable[[], int],
        address: Callable[[int, dict[str, Any]], str],
        flight: Flight | None = None,
    ) -> None:
        self._ec2 = client
        self._fleet = fleet
        self._machine = machine
        self._now = now
        self._address = address
        self._flight = flight
        self._epoch = flight.epoch if flight else 0
        self._launching = threading.Lock()
        self._fresh: dict[str, CloudInstance] = {}

    def launch(self, number: int, role: str, token: str) -> CloudInstance:
        """See core.ports.Cloud. MinCount equals MaxCount: exactly one instance a call."""
        flight = self._flight
        if flight:
            # By run: the same seed gives the same tokens in the next run, and EC2 would answer with that one's instance.
            token = f"{self._fleet}/{flight.run}/{token}"
        if len(token) > _TOKEN_LENGTH or not token.isascii():
            token = hashlib.blake2b(token.encode(), digest_size=_TOKEN_LENGTH // 2).hexdigest()
        if flight is None:
            return self._launched(self._parameters(number, role, token))
        with self._launching:
            # Once: EC2 refuses the same token with other parameters, and the launch time is one of them.
            parameters = self._parameters(number, role, token)
            made = flight.patience(lambda: self._found(number, token) or self._launched(parameters))
            self._fresh[made.provider_id] = made
        return made

    def terminate(self, provider_id: str) -> None:
        """See core.ports.Cloud. What does not carry our tag is left alone, whatever the registry says of it."""
        ours = self._patiently(
            lambda: list(self._described({"Name": "instance-id", "Values": [provider_id]}, states=LEFT))
        )
        if not ours and provider_id not in self._fresh:
            return
        try:
            self._patiently(lambda: self._ec2.terminate_instances(InstanceIds=[provider_id]))
        except CloudError as error:
            # An instance that EC2 does not know yet must be asked for again; any other one is gone.
            if error.code != _GONE or self._is_fresh(provider_id):
                raise
        self._fresh.pop(provider_id, None)

    def list(self) -> tuple[CloudInstance, ...]:
        """See core.ports.Cloud. Paginated, filtered by our tag; ``state`` says what is still pending."""
        found = [self._instance(item) for item in self._patiently(lambda: list(self._described()))]
        listed = {instance.provider_id for instance in found}
        for provider_id in list(self._fresh):
            if provider_id in listed or not self._is_fresh(provider_id):
                self._fresh.pop(provider_id, None)
        found += [instance for name, instance in list(self._fresh.items()) if name not in listed]
        return tuple(sorted(found, key=lambda instance: (instance.number, instance.provider_id)))

    def past(self) -> Past:
        """What EC2 remembers of this run: instances that ended within about an hour, and the time that the last launch noted."""
        run = self._flight.run if self._flight else ""
        mine = {"Name": f"tag:{TAG_RUN}", "Values": [run]}
        items = self._patiently(lambda: list(self._described(mine, states=())))
        items = [item for item in items if tags_of(item).get(TAG_RUN, "") == run]
        ended = []
        for item in items:
            if item["State"]["Name"] in ENDED:
                wall = ended_at(item)
                instance = self._instance(item)
                end = None if wall is None else wall - self._epoch
                ended.append(Ended(instance.provider_id, instance.launched, end))
        noted = [(self._instance(item).launched, tags_of(item).get(TAG_SPENT, "")) for item in items]
        at, spent = max(((at, int(text)) for at, text in noted if text.isdigit()), default=(None, 0))
        return Past(tuple(ended), at, spent)

    def _parameters(self, number: int, role: str, token: str) -> dict[str, Any]:
        """Of RunInstances."""
        tags = {
            TAG_FLEET: self._fleet,
            TAG_NUMBER: str(number),
            TAG_ROLE: role,
            TAG_LAUNCHED: str(self._now() + self._epoch),
        }
        more: dict[str, Any] = {}
        if flight := self._flight:
            tags |= {TAG_RUN: flight.run, TAG_TOKEN: token, TAG_SPENT: str(flight.spent())}
            # Whatever shuts itself down is gone and costs no more: user data may end an instance that everybody forgot.
            more["InstanceInitiatedShutdownBehavior"] = "terminate"
            if self._machine.user_data:
                names = {"number": str(number), "role": role, "fleet": self._fleet, "run": flight.run}
                try:
                    more["UserData"] = fill_in(self._machine.user_data, {**flight.values, **names})
                except ValueError as error:
                    raise CloudError("UserDataTooLong", str(error)) from None
        return {
            **self._machine.parameters(),
            "MinCount": 1,
            "MaxCount": 1,
            "ClientToken": token,
            "TagSpecifications": [
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                }
            ],
            **more,
        }

    def _launched(self, parameters: dict[str, Any]) -> CloudInstance:
        return self._instance(self._guard(lambda: self._ec2.run_instances(**parameters))["Instances"][0])

    def _found(self, number: int, token: str) -> CloudInstance | None:
        """The living instance that *token* launched. Raises CloudError if another one has its number."""
        known = {"Name": f"tag:{TAG_NUMBER}", "Values": [str(number)]}
        taken = [(item, tags_of(item)) for item in self._guard(lambda: list(self._described(known)))]
        for item, tags in taken:
            if tags.get(TAG_TOKEN) == token:
                return self._instance(item)
        for item, tags in taken:
            raise CloudError(
                "InstanceNumberTaken",
                f"instance {number} of fleet {self._fleet} is {item['InstanceId']} already, of run {tags.get(TAG_RUN, '?')}",
            )
        return None

    def _described(
        self, *filters: dict[str, Any], states: Sequence[str] = LIVING
    ) -> Iterable[dict[str, Any]]:
        """Instances that carry our tag, in *states* (none: in any)."""
        wanted = [fleet_filter(self._fleet), *filters]
        if states:
            wanted.append({"Name": "instance-state-name", "Values": list(states)})
        paging = {"PaginationConfig": {"PageSize": self._flight.page}} if self._flight else {}
        for page in self._ec2.get_paginator("describe_instances").paginate(Filters=wanted, **paging):
            for reservation in page["Reservations"]:
                for item in reservation["Instances"]:
                    tags = tags_of(item)
                    if tags.get(TAG_FLEET) == self._fleet and number_in(tags):
                        yield item

    def _instance(self, item: dict[str, Any]) -> CloudInstance:
        tags = tags_of(item)
        number = number_in(tags)
        launched = tags.get(TAG_LAUNCHED, "0")
        return CloudInstance(
            number=number,
            provider_id=item["InstanceId"],
            address=self._address(number, item),
            role=tags.get(TAG_ROLE, ""),
            state=item["State"]["Name"],
            launched=(int(launched) if launched.isdigit() else 0) - self._epoch,
        )

    def _is_fresh(self, provider_id: str) -> bool:
        made = self._fresh.get(provider_id)
        return made is not None and self._now() - made.launched < GRACE

    def _patiently(self, call: Callable[[], T]) -> T:
        if self._flight is None:
            return self._guard(call)
        return self._flight.patience(lambda: self._guard(call))

    def _guard(self, call: Callable[[], T]) -> T:
        """Botocore's errors become CloudError here: SimPy could not copy a ClientError, and the engine knows no botocore."""
        return guarded(call, self._flight.redact if self._flight else str)


def guarded(call: Callable[[], T], redact: Callable[[str], str] = str) -> T:
    """What *call* returns; botocore's errors as CloudError, their texts as *redact* leaves them."""
    try:
        return call()
    except ClientError as error:
        details = error.response.get("Error", {})
        code, message = str(details.get("Code", "Unknown")), str(details.get("Message", ""))
    except (HTTPClientError, NoConnection, ResponseParserError) as error:
        code, message = "Unavailable", str(error)
    except BotoCoreError as error:
        code, message = type(error).__name__.removesuffix("Error"), str(error)
    # Outside the handlers, so that the original, which may say more than we want, is not even the context.
    raise CloudError(code, redact(message))
