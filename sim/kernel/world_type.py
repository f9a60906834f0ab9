"""The world as compiled code sees it: one pointer to a table of addresses and lengths.

Passing two dozen arrays would cost every call some 170 words. Compiled routines get a pointer instead, and ``w.attempts`` is a pointer to
its entry: an index into it gives the row, without a reference count (the caller keeps the arrays alive) and without a look at negative
indices. What decisions of core/ take whole, or what has no fields, becomes an ordinary array. Plain routines see layout.World itself.
Importing this module imports numba; only compiled.py does.
"""

import operator
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global, signature
from numba.extending import (
    infer_getattr,
    intrinsic,
    lower_builtin,
    lower_getattr_generic,
    models,
    register_model,
)
from numba.np.arrayobj import make_array, populate_array

from ...core import admission, host, table
from ...core.columns import ATTEMPT_ROW, REQUEST_ROW
from ...core.demand import MIX
from ...core.toxics import TOXIC
from . import layout
from .layout import World

_WORD = ir.IntType(64)

BLOCK_COLUMNS = ("time", "source", "index", "endpoint", "cpu", "io")

DTYPES: dict[str, Any] = {
    "state": layout.STATE, "config": layout.CONFIG, "sources": layout.SOURCE, "endpoints": layout.ENDPOINT,
    "calls": np.dtype(np.int64), "mixes": MIX, "dependencies": layout.DEPENDENCY,
    "filled": np.dtype(np.int64), "flood": np.dtype(np.int64), "wires": layout.WIRE_MESSAGE, "heap": layout.EVENT, "timers": layout.TIMER,
    "rings": layout.RING, "requests": layout.REQUEST, "attempts": layout.ATTEMPT,
    "connections": layout.CONNECTION, "idle": admission.CONNECTION, "jobs": layout.JOB, "apps": layout.APP,
    "host": host.HOST, "bursts": host.BURST, "samples": layout.SAMPLE,
    "servers": table.SERVER, "load": np.dtype(np.int64), "toxics": TOXIC,
    "tallies": np.dtype(np.int64), **{f"block_{name}": np.dtype(np.int64) for name in BLOCK_COLUMNS},
    "window_requests": REQUEST_ROW, "window_attempts": ATTEMPT_ROW,
    "late_requests": REQUEST_ROW, "late_attempts": ATTEMPT_ROW, "log": layout.LOG,
}  # fmt: skip
assert tuple(DTYPES) == World._fields, "the world and its types differ"

WHOLE = (
    "calls", "mixes", "filled", "flood", "servers", "idle", "host", "bursts", "load", "toxics", "tallies", *(f"block_{name}" for name in BLOCK_COLUMNS),
)  # fmt: skip
"""What is an array to compiled code too."""

_PLACES = {name: place for place, name in enumerate(DTYPES)}


class WorldType(types.Type):
    """The type of the pointer to the table."""

    def __init__(self) -> None:
        super().__init__(name="windtunnel.World")


class RowsType(types.Type):
    """The type of a pointer to an entry of the table: rows of one record type."""

    def __init__(self, record: Any, size: int) -> None:
        super().__init__(name=f"windtunnel.Rows({record})")
        self.record = record
        self.size = size


_WORLD = WorldType()
_KINDS = {
    name: types.Array(numba.from_dtype(dtype), 1, "C")
    if name in WHOLE
    else RowsType(numba.from_dtype(dtype), dtype.itemsize)
    for name, dtype in DTYPES.items()
}


class _Pointer(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.PointerType(_WORD))


register_model(WorldType)(_Pointer)
register_model(RowsType)(_Pointer)


def _load(builder: Any, entry: Any, offset: int) -> Any:
    word = builder.load(builder.gep(entry, [ir.Constant(ir.IntType(32), offset)]))
    # The table stays as it is during a call from outside.
    word.set_metadata("invariant.load", builder.module.add_metadata([]))
    return word


@infer_getattr
class _Attributes(AttributeTemplate):  # type: ignore[misc]
    key = WorldType

    def generic_resolve(self, kind: Any, name: str) -> Any:
        """The type of attribute *name*."""
        return _KINDS.get(name)


@lower_getattr_generic(WorldType)  # type: ignore[untyped-decorator]
def _get(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
    entry = builder.gep(value, [ir.Constant(ir.IntType(32), 2 * _PLACES[name])])
    if name not in WHOLE:
        return entry
    size = ir.Constant(_WORD, DTYPES[name].itemsize)
    array = make_array(_KINDS[name])(context, builder)
    populate_array(
        array,
        data=builder.inttoptr(_load(builder, entry, 0), array.data.type),
        shape=[_load(builder, entry, 1)],
        strides=[size],
        itemsize=size,
        meminfo=None,
    )
    return array._getvalue()


@infer_global(operator.getitem)
class _RowTyping(AbstractTemplate):  # type: ignore[misc]
    def generic(self, arguments: Any, keywords: Any) -> Any:
        """The signature for these arguments, or None."""
        rows, index = arguments
        if isinstance(rows, RowsType) and isinstance(index, types.Integer):
            return signature(rows.record, rows, types.int64)
        return None


@lower_builtin(operator.getitem, RowsType, types.Integer)  # type: ignore[untyped-decorator]
def _row(context: Any, builder: Any, kind: Any, arguments: Any) -> Any:
    entry, index = arguments
    size = ir.Constant(_WORD, kind.args[0].size)
    address = builder.add(_load(builder, entry, 0), builder.mul(index, size, flags=["nsw"]))
    return builder.inttoptr(address, context.get_value_type(kind.return_type))


@infer_global(len)
class _LengthTyping(AbstractTemplate):  # type: ignore[misc]
    def generic(self, arguments: Any, keywords: Any) -> Any:
        """The signature for these arguments, or None."""
        (rows,) = arguments
        return signature(types.intp, rows) if isinstance(rows, RowsType) else None


@lower_builtin(len, RowsType)  # type: ignore[untyped-decorator]
def _length(context: Any, builder: Any, kind: Any, arguments: Any) -> Any:
    return _load(builder, arguments[0], 1)


@intrinsic  # type: ignore[untyped-decorator]
def world_at(typing_context: Any, addresses: Any) -> Any:
    """The world whose table is the int64 array *addresses*."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = make_array(signature.args[0])(context, builder, arguments[0])
        return array.data

    return _WORLD(addresses), generate


def addresses_of(
    w: World, before: World | None = None, known: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.int64]:
    """The table of *w*: address and length of each array. The arrays must outlive it. *known*, the table of the world *before*, is brought up to date."""
    if before is None or known is None:
        return np.array([word for rows in w for word in (rows.ctypes.data, len(rows))], dtype=np.int64)
    for place, (rows, old) in enumerate(zip(w, before, strict=True)):
        if rows is not old:
            known[2 * place], known[2 * place + 1] = rows.ctypes.data, len(rows)
    return known
