"""What a caller did wrong, and what went wrong in a world; the text of either is one sentence for the user."""


class UsageError(ValueError):
    """An option or argument that cannot be used; the text is one sentence for the user."""


class BackendFailure(Exception):
    """Something that a flight needs did not start, or ended before its time."""
