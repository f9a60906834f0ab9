"""User data of an instance: a template text in which known names in braces are filled in.

Only ``{name}`` of a known name is replaced, and ``${name}`` never is, so that a shell script keeps its own braces.
"""

import re
from collections.abc import Mapping

LIMIT = 16 * 1024
"""Bytes of user data that EC2 takes, before base64 (EC2 User Guide, "Instance user data")."""


def fill_in(template: str, values: Mapping[str, str]) -> str:
    """*template* with each ``{name}`` of *values* replaced. Raises ValueError if the result is longer than EC2 takes."""
    names = "|".join(sorted(re.escape(name) for name in values))
    text = re.sub(rf"(?<!\$)\{{({names})\}}", lambda found: values[found[1]], template) if names else template
    size = len(text.encode())
    if size > LIMIT:
        raise ValueError(f"expected at most {LIMIT} bytes of user data, got {size}")
    return text
