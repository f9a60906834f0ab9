"""What a request's sender may take, in bytes and in time, and what it is told when it takes more (RFC 9110, section 15.5; RFC 9112, section 9.5).

The limits of lines, heads and chunks stand beside the rules that read them: ``fields``, ``heads``, ``framing``.
"""

from .fields import Malformed
from .statuses import REQUEST_TIMEOUT

HEADER_TIMEOUT = 10.0
"""Seconds for a head to become complete, from its first byte; beyond it 408."""
CONTENT_TIMEOUT = 30.0
"""Seconds between two pieces of a request's content; beyond it 408."""
CONTENT_LIMIT = 1 << 30
"""Bytes of a request's content; beyond it 413."""
PIPELINE_LIMIT = 65_536
"""Bytes that are read ahead of a request that is under way."""
TOO_LONG = "the content is too long"


def late_head() -> Malformed:
    """The refusal of a head that did not become complete within HEADER_TIMEOUT."""
    return Malformed("the head did not become complete in time", REQUEST_TIMEOUT)


def late_content() -> Malformed:
    """The refusal of content of which nothing came for CONTENT_TIMEOUT."""
    return Malformed("the content did not come in time", REQUEST_TIMEOUT)
