"""What the AWS cloud of a flight is told, as the conductor hands it to the role that launches."""

from pydantic import BaseModel, ConfigDict


class AwsSettings(BaseModel):
    """*user_data* is the template itself, *registry* the address that it gets; *epoch*: the wall clock (ns since 1970) at the live clock's zero.

    *port*: where servers answer on their private address, or on the public one. *bridged*: on this machine's loopback addresses instead, where
    a bridge keeps a process for each instance. *max_hours* are instance-hours. No credential is ever here: boto3's chain has them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fleet: str
    run: str
    seed: int
    epoch: int
    registry: str
    region: str
    image: str
    instance_type: str
    key_name: str
    security_groups: tuple[str, ...] = ()
    subnet: str = ""
    profile: str = ""
    user_data: str = ""
    endpoint_url: str | None = None
    port: int = 80
    public: bool = False
    bridged: bool = False
    max_instances: int | None = None
    max_hours: float | None = None
    dry_run: bool = False
