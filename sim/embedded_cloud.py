"""What stands for EC2 in a rehearsal: moto behind our adapter, or a twin in memory; and an overlay for what moto lacks.

moto's instances are born running and it ignores ClientToken (two calls, two instances): the overlay keeps the tokens and the
pending time. What happens inside an instance (booting, a boot that fails) no cloud tells: that is the world's.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

from ..backends.cloud import Ec2Cloud, Machine
from ..core.ports import Cloud, CloudInstance

REGION = "us-east-1"
IMAGE = "ami-00000001"
_AMI_SWITCH = "MOTO_EC2_LOAD_DEFAULT_AMIS"


def address_of(number: int) -> str:
    """The address of instance *number* in a rehearsal: 10.0.0.1 for the first; port 80 is omitted."""
    assert 0 < number < 1 << 24, f"instance number {number} has no address in 10.0.0.0/8"
    return f"http://10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


@cache
def number_of(address: str) -> int:
    """The instance number of one of our addresses, or 0 for a foreign one."""
    parts = address.removeprefix("http://").split(".")
    if len(parts) != 4 or parts[0] != "10" or not all(part.isdigit() for part in parts):
        return 0
    _, high, middle, low = (int(part) for part in parts)
    return (high << 16 | middle << 8 | low) if max(high, middle, low) < 256 else 0


class MemoryCloud:
    """The twin of moto: implements core.ports.Cloud in memory, no better than moto does."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._instances: dict[str, CloudInstance] = {}
        self._launches = 0

    def launch(self, number: int, role: str, token: str) -> CloudInstance:
        """See core.ports.Cloud."""
        self._launches += 1
        name = f"i-{self._launches:017x}"
        made = CloudInstance(number, name, address_of(number), role, "running", self._now())
        self._instances[name] = made
        return made

    def terminate(self, provider_id: str) -> None:
        """See core.ports.Cloud."""
        self._instances.pop(provider_id, None)

    def list(self) -> tuple[CloudInstance, ...]:
        """See core.ports.Cloud."""
        return tuple(sorted(self._instances.values(), key=lambda instance: instance.number))


class Overlay:
    """What neither moto nor the twin has: a token launches once, and an instance is pending for *pending* ns."""

    def __init__(self, cloud: Cloud, now: Callable[[], int], pending: int) -> None:
        self._cloud = cloud
        self._now = now
        self._pending = pending
        self._tokens: dict[str, CloudInstance] = {}

    def launch(self, number: int, role: str, token: str) -> CloudInstance:
        """See core.ports.Cloud."""
        if token not in self._tokens:
            self._tokens[token] = self._cloud.launch(number, role, token)
        return self._aged(self._tokens[token])

    def terminate(self, provider_id: str) -> None:
        """See core.ports.Cloud."""
        self._cloud.terminate(provider_id)

    def list(self) -> tuple[CloudInstance, ...]:
        """See core.ports.Cloud."""
        return tuple(self._aged(instance) for instance in self._cloud.list())

    def _aged(self, instance: CloudInstance) -> CloudInstance:
        young = self._now() < instance.launched + self._pending
        return replace(instance, state="pending" if young else "running")


@contextmanager
def moto_cloud(fleet: str, now: Callable[[], int], pending: int = 0) -> Iterator[Cloud]:
    """EC2 by moto, in this process, behind the adapter that also speaks to AWS. One client, one mock a run."""
    before = os.environ.get(_AMI_SWITCH)
    os.environ[_AMI_SWITCH] = "false"
    try:
        import boto3
        from botocore.config import Config
        from moto import mock_aws

        with _endpoints_read_once(), mock_aws():
            client: Any = boto3.session.Session(
                aws_access_key_id="rehearsal", aws_secret_access_key="rehearsal"
            ).client("ec2", region_name=REGION, config=Config(retries={"total_max_attempts": 1}))
            adapter = Ec2Cloud(client, fleet, Machine(IMAGE), now, lambda number, _: address_of(number))
            yield Overlay(adapter, now, pending)
    finally:
        if before is None:
            del os.environ[_AMI_SWITCH]
        else:
            os.environ[_AMI_SWITCH] = before


@contextmanager
def _endpoints_read_once() -> Iterator[None]:
    """botocore parses its list of endpoints anew for each session, of which moto's modules make several when they are imported."""
    from botocore.loaders import JSONFileLoader

    original, read = JSONFileLoader.load_file, {}

    def load_file(loader: Any, path: str) -> Any:
        if not path.endswith("endpoints"):
            return original(loader, path)
        if path not in read:
            read[path] = original(loader, path)
        return read[path]

    JSONFileLoader.load_file = load_file
    try:
        yield
    finally:
        JSONFileLoader.load_file = original
