"""A dry run: every call that would be made is told, none is made, and the answers are as if.

:class:`PlannedEc2` takes the place of the EC2 client below the adapter, so that what is told is exactly what the adapter would send. Parameters are
checked against EC2's own description of the operation, as boto3 would. User data may hold secrets: its length and digest are told.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.exceptions import ParamValidationError
from botocore.session import Session
from botocore.validate import ParamValidator

from .flight import LIVING, tags_of

HIDDEN = ("UserData",)


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that would be made, with its parameters as they may be shown."""

    service: str
    operation: str
    parameters: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.service}.{self.operation} {json.dumps(self.parameters, sort_keys=True)}"


class PlannedEc2:
    """What the adapter needs of an EC2 client. *tell* is handed each call; launches are remembered until they are terminated."""

    def __init__(self, tell: Callable[[PlannedCall], None]) -> None:
        self._tell = tell
        self._launches = 0
        self._items: dict[str, dict[str, Any]] = {}

    def run_instances(self, **parameters: Any) -> dict[str, Any]:
        """RunInstances."""
        self._plan("RunInstances", parameters)
        self._launches += 1
        number = self._launches
        item = {
            "InstanceId": f"i-planned{number:010x}",
            "PrivateIpAddress": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            "PublicIpAddress": f"203.0.113.{number % 254 + 1}",
            "State": {"Name": "running"},
            "LaunchTime": datetime.now(UTC),
            "Tags": parameters["TagSpecifications"][0]["Tags"],
        }
        self._items[item["InstanceId"]] = item
        return {"Instances": [item]}

    def terminate_instances(self, **parameters: Any) -> dict[str, Any]:
        """TerminateInstances."""
        self._plan("TerminateInstances", parameters)
        for name in parameters["InstanceIds"]:
            self._items.pop(name, None)
        return {}

    def get_paginator(self, name: str) -> "PlannedEc2":
        """Of describe_instances, the only one."""
        assert name == "describe_instances", name
        return self

    def paginate(self, **parameters: Any) -> Iterator[dict[str, Any]]:
        """DescribeInstances: what was planned to be launched, by the filters that the adapter uses."""
        paging = parameters.pop("PaginationConfig", {})
        if "PageSize" in paging:
            parameters["MaxResults"] = paging["PageSize"]
        self._plan("DescribeInstances", parameters)
        items = [item for item in self._items.values() if _passes(item, parameters["Filters"])]
        yield {"Reservations": [{"Instances": items}]}

    def _plan(self, operation: str, parameters: Mapping[str, Any]) -> None:
        report = ParamValidator().validate(parameters, _service().operation_model(operation).input_shape)
        if report.has_errors():
            raise ParamValidationError(report=report.generate_report())
        shown = {name: _digest(value) if name in HIDDEN else value for name, value in parameters.items()}
        self._tell(PlannedCall("ec2", operation, shown))


def _digest(text: str) -> str:
    return f"{len(text.encode())} bytes, blake2b {hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def _passes(item: Mapping[str, Any], filters: list[dict[str, Any]]) -> bool:
    tags = tags_of(item)
    facts = {"instance-id": item["InstanceId"], "instance-state-name": LIVING[1]}
    for one in filters:
        name = one["Name"]
        value = tags.get(name[4:]) if name.startswith("tag:") else facts[name]
        if value not in [text.replace("\\", "") for text in one["Values"]]:
            return False
    return True


@cache
def _service() -> Any:
    return Session().get_service_model("ec2")
