"""Which endpoint a path belongs to.

An endpoint's path is matched exactly; a segment that begins with a colon (``/users/:id``) matches any one segment. The exact path wins, then the
one with the most plain segments, then the first; what matches none belongs to the endpoint ``default``.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

DEFAULT_PATH = "default"


def path_of(target: str | bytes) -> str:
    """The path of a request's target: without host, query string and fragment."""
    text = target if isinstance(target, str) else target.decode("utf-8", "backslashreplace")
    text = text.split("?", 1)[0].split("#", 1)[0]
    if text.lower().startswith(("http://", "https://")):
        try:
            return urlsplit(text).path or "/"
        except ValueError:  # Not a URL after all, such as http://[.
            return text
    return text


class PathMatcher:
    """Numbers of endpoints by path; *paths* are those of the endpoints, in order.

    What no endpoint matches gets the number of ``default``, or the number after the last one if that is not among them.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._exact = {path: number for number, path in reversed(list(enumerate(paths)))}
        self.default = self._exact.get(DEFAULT_PATH, len(paths))
        self._templates: dict[int, list[tuple[tuple[str, ...], int]]] = {}
        for path, number in self._exact.items():
            segments = tuple(path.split("/"))
            if any(segment.startswith(":") for segment in segments):
                self._templates.setdefault(len(segments), []).append((segments, number))
        for same_length in self._templates.values():
            same_length.sort(key=lambda entry: (_wildcards(entry[0]), entry[1]))

    def number(self, target: str | bytes) -> int:
        """The number of the endpoint of a request's *target*."""
        path = path_of(target)
        exact = self._exact.get(path)
        if exact is not None and path != DEFAULT_PATH:
            return exact
        segments = path.split("/")
        for template, number in self._templates.get(len(segments), ()):
            if all(t.startswith(":") or t == s for t, s in zip(template, segments, strict=True)):
                return number
        return self.default


def _wildcards(segments: tuple[str, ...]) -> int:
    return sum(segment.startswith(":") for segment in segments)
