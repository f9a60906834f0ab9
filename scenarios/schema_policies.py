"""The scaling policies' part of the scenario schema: each mapping resolves to the policy of core.policies."""

from collections.abc import Iterator
from typing import Any, Self

from pydantic import Field, model_validator

from ..core import policies as core
from .schema_base import Model
from .schema_metrics import Target
from .schema_policy_combine import CombinePolicy
from .schema_policy_panic import PanicPolicy
from .schema_policy_queue import QueuePolicy
from .schema_policy_scheduled import ScheduledPolicy
from .schema_policy_simple import SimplePolicy
from .schema_policy_step import StepPolicy
from .schema_policy_target_tracking_aws import TargetTrackingAwsPolicy
from .schema_policy_target_tracking_hpa import TargetTrackingHpaPolicy
from .schema_policy_threshold import ThresholdPolicy
from .units import Share, show


class TargetTrackingPolicy(Target):
    """As many servers as bring the average of a metric to its target."""

    tolerance: Share = Field(0.1, description="no change while the average is so close to the target")

    def resolve(self) -> core.TargetTracking:
        """The engine's policy."""
        return core.TargetTracking(float(self.target), self.measured, self.tolerance)


Leaf = (
    ThresholdPolicy
    | StepPolicy
    | SimplePolicy
    | TargetTrackingPolicy
    | TargetTrackingHpaPolicy
    | TargetTrackingAwsPolicy
    | PanicPolicy
    | ScheduledPolicy
    | QueuePolicy
)
Settings = Leaf | CombinePolicy


class Policy(Model):
    """A scaling policy: exactly one of its fields."""

    threshold: ThresholdPolicy | None = Field(None, description="marks per server")
    step: StepPolicy | None = Field(None, description="EC2 Auto Scaling's step scaling")
    simple: SimplePolicy | None = Field(None, description="EC2 Auto Scaling's simple scaling")
    target_tracking: TargetTrackingPolicy | None = Field(None, description="an average on target")
    target_tracking_hpa: TargetTrackingHpaPolicy | None = Field(
        None, description="Kubernetes' HorizontalPodAutoscaler"
    )
    target_tracking_aws: TargetTrackingAwsPolicy | None = Field(
        None, description="EC2 Auto Scaling's target tracking"
    )
    panic: PanicPolicy | None = Field(None, description="an average over a long and a short window (Knative)")
    scheduled: ScheduledPolicy | None = Field(None, description="sizes and bounds at given times")
    queue: QueuePolicy | None = Field(
        None, description="a total over the fleet, down to no server and up again"
    )
    combine: CombinePolicy | None = Field(None, description="several policies at once")

    @model_validator(mode="before")
    @classmethod
    def _no_bare_name(cls, value: Any) -> Any:
        if not isinstance(value, (dict, Policy)):
            example = "{threshold: {requests_high: 300/s}}"
            raise ValueError(f"expected a policy with its settings such as {example}, got {show(value)}")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = sorted(self.model_fields_set)
        if len(given) == 1 and getattr(self, given[0]) is None:
            raise ValueError(f"expected settings for {given[0]}, got nothing")
        if len(given) != 1:
            names = ", ".join(type(self).model_fields)
            raise ValueError(f"expected exactly one of {names}, got {' and '.join(given) or 'none'}")
        return self

    @property
    def settings(self) -> Settings:
        """Those of the one that is given."""
        (name,) = self.model_fields_set
        found: Settings = getattr(self, name)
        return found

    def leaves(self) -> Iterator[Leaf]:
        """The settings of the policies that it comes to: its own, or its parts'."""
        settings = self.settings
        if isinstance(settings, CombinePolicy):
            for part in settings.of:
                yield from part.leaves()
        else:
            yield settings

    def resolve(self, duration: int) -> core.AnyPolicy:
        """The engine's policy, for a run so long (ns). Raises ValueError if a schedule has too many changes in it."""
        settings = self.settings
        if isinstance(settings, (ScheduledPolicy, CombinePolicy)):
            return settings.resolve(duration)
        return settings.resolve()


CombinePolicy.model_rebuild(_types_namespace={"Policy": Policy})
Policy.model_rebuild()
