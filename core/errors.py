"""What a caller did wrong, as opposed to what went wrong."""


class UsageError(ValueError):
    """An option or argument that cannot be used; the text is one sentence for the user."""
