"""Custom metrics that a policy or an alert names: they must be declared, and one without a model is never known in a rehearsal."""

from collections.abc import Iterator

from .problems import Path, nearest
from .schema import Document
from .schema_custom import custom_names


def _named(document: Document) -> Iterator[tuple[Path, str]]:
    yield from custom_names(document.autoscaler, ("autoscaler",))
    yield from custom_names(document.alerts, ("alerts",))


def check(document: Document) -> Iterator[tuple[Path, str]]:
    """Names that are not declared, as (path, message)."""
    known = document.fleet.app.metrics or {}
    for where, name in _named(document):
        if name not in known:
            hint = nearest(name, known) or f"; declared in fleet.app.metrics are {', '.join(known) or 'none'}"
            yield where, f"no custom metric {name!r}{hint}"


def warnings(document: Document) -> Iterator[str]:
    """What nobody writes in a rehearsal."""
    known = document.fleet.app.metrics or {}
    for name in sorted({name for _, name in _named(document)}):
        if name in known and not known[name].modelled:
            yield f"custom metric {name!r} has no model in fleet.app.metrics: in a rehearsal nobody ever knows it"
