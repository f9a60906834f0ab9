"""The policy ``combine`` in the scenario file: policies made of policies."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ..core.policies import Combine
from .schema_base import Model

if TYPE_CHECKING:
    from .schema_policies import Policy


class CombinePolicy(Model):
    """Several policies at once; a part without data never lets any of them scale in."""

    of: "list[Policy]" = Field(
        min_length=1, max_length=100, description="the policies, each as under `policy`"
    )
    by: Literal["max", "min", "mean"] = Field(
        "max", description="which of their sizes: the greatest, the least, or the mean rounded up"
    )

    def resolve(self, duration: int) -> Combine:
        """The engine's policy, for a run so long (ns). Raises ValueError as its parts do."""
        return Combine(tuple(part.resolve(duration) for part in self.of), self.by)
