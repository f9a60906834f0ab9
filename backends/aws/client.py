"""The EC2 client of a flight: credentials by boto3's own chain, its retries off, its waits bounded."""

import logging
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from ...core.errors import UsageError
from .redaction import Redaction

CONNECT_SECONDS, READ_SECONDS = 3, 10
_CONNECTIONS = 8


def ec2_client(region: str | None = None, endpoint_url: str | None = None) -> tuple[Any, Redaction]:
    """A client, which threads may share, and what removes its credentials from texts. *region* None: what boto3's chain says.

    Raises UsageError if there is no region or it is none, if the endpoint is no URL, or if there are no credentials.
    """
    # At DEBUG botocore logs what it signs.
    logging.getLogger("botocore").setLevel(logging.INFO)
    redact = Redaction()
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=_CONNECTIONS,
        user_agent_extra="windtunnel",
    )
    try:
        session = boto3.session.Session()
        credentials = session.get_credentials()
        redact = Redaction.of(credentials)
        client = session.client("ec2", region_name=region, endpoint_url=endpoint_url, config=config)
    except (BotoCoreError, ValueError) as error:
        problem = redact(str(error))
    else:
        if credentials is None:
            raise UsageError(
                "AWS: expected credentials where boto3 looks for them (environment, profile, role), got none"
            )
        return client, redact
    raise UsageError(f"AWS: {problem}")
