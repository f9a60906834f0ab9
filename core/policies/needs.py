"""What a policy must be shown besides the servers."""

from dataclasses import fields, is_dataclass
from typing import Any


def needs_proxy(policy: Any) -> bool:
    """Whether *policy*, or one that it is made of, says by ``needs_proxy = True`` that it looks at the proxy's own sample."""
    if getattr(policy, "needs_proxy", False):
        return True
    if isinstance(policy, tuple):
        return any(needs_proxy(part) for part in policy)
    if not is_dataclass(policy):
        return False
    return any(needs_proxy(getattr(policy, field.name)) for field in fields(policy))
