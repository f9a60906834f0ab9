"""What a request carries."""

from ...core.demand import body_size
from .layout import World
from .routine import routine


@routine
def content(w: World, a: int) -> int:
    """Bytes of the content of attempt *a*."""
    attempt = w.attempts[a]
    source = w.sources[attempt["source"]]
    if source["body"] == 0:
        return 0
    return body_size(
        source["body_kind"], source["body_a"], source["body_b"], attempt["stream"], attempt["index"]
    )
