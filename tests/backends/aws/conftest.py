"""A moto server and clouds on it, as a flight makes them."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer
from windtunnel.backends.aws.client import ec2_client
from windtunnel.backends.aws.settings import AwsSettings

SettingsOf = Callable[..., AwsSettings]

_names = itertools.count()

KEY_ID, SECRET, TOKEN = "AKIAFAKEFAKEFAKE1234", "s3cr3t/Fake+Fake+Fake+Fake", "t0ken-Fake-Fake-Fake-Fake"


@pytest.fixture(scope="session", autouse=True)
def credentials() -> Iterator[None]:
    """Fake ones where boto3 looks first, and no other place to look."""
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    patch.setenv("AWS_SESSION_TOKEN", TOKEN)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    patch.setenv("AWS_CONFIG_FILE", os.devnull)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """The address of a moto server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        _warm(url)
        yield url
    finally:
        server.stop()


def _warm(url: str) -> None:
    """The first launch takes the server seconds, on a busy machine longer than our clients wait."""
    patient = boto3.client(
        "ec2", "us-east-1", endpoint_url=url, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET,
        config=Config(read_timeout=120),
    )  # fmt: skip
    made = patient.run_instances(ImageId="ami-12345678", InstanceType="t3.micro", MinCount=1, MaxCount=1)
    patient.terminate_instances(InstanceIds=[one["InstanceId"] for one in made["Instances"]])


@pytest.fixture
def settings(moto_url: str) -> SettingsOf:
    """Settings for a fleet of its own on the moto server; what is given replaces them."""
    fleet = f"fleet-{os.getpid()}-{next(_names)}"

    def made(**changes: Any) -> AwsSettings:
        base: dict[str, Any] = {
            "fleet": fleet, "run": "run-1", "seed": 1, "epoch": time.time_ns() - time.monotonic_ns(),
            "registry": "redis://127.0.0.1:6379/0", "region": "us-east-1", "image": "ami-12345678",
            "instance_type": "t3.micro", "key_name": "key", "user_data": "#!/bin/sh\nrun {role} {number}",
            "endpoint_url": moto_url, "max_instances": 20,
        }  # fmt: skip
        return AwsSettings(**{**base, **changes})

    return made


@pytest.fixture
def ec2(moto_url: str) -> Any:
    """A raw client."""
    return ec2_client("us-east-1", moto_url)[0]
