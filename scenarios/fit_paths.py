"""Which endpoints a log's paths suggest."""

import re
from collections import Counter
from collections.abc import Sequence

from .paths import DEFAULT_PATH, path_of

ENDPOINTS_LIMIT = 20
LEAST_SHARE = 0.01
"""A path with a smaller share of the requests is folded into `default`."""
KEPT = 1 << 16
"""Templates counted at a time; when there are more, the rarer half is forgotten (none of them comes near the least share)."""

_ID = re.compile(r"\d+|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"(?=.*\d)[0-9a-fA-F]{8,}")
_LONGEST = 200


def template_of(target: str | bytes) -> str:
    """The path with numbers, UUIDs and hexadecimal names (8 digits and more) as ``:id``."""
    segments = path_of(target).split("/")
    return "/".join(":id" if _ID.fullmatch(s) or _HEX.fullmatch(s) else s for s in segments)


class PathCounts:
    """How often each template occurs."""

    def __init__(self) -> None:
        self.total = 0
        self._counts: Counter[str] = Counter()

    def add(self, templates: Sequence[str]) -> None:
        """Count templates."""
        self._counts.update(templates)
        self.total += len(templates)
        if len(self._counts) > KEPT:
            self._counts = Counter(dict(sorted(self._counts.items(), key=_rank)[: KEPT // 2]))

    def endpoints(self) -> list[str]:
        """The templates that become endpoints, the most frequent first."""
        ranked = sorted(self._counts.items(), key=_rank)
        return [
            path
            for path, count in ranked[:ENDPOINTS_LIMIT]
            if count >= LEAST_SHARE * self.total and _usable(path)
        ]


def _rank(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _usable(path: str) -> bool:
    return path.isprintable() and path.strip() != "" and len(path) <= _LONGEST and path != DEFAULT_PATH
