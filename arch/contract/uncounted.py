"""Arrays that compiled loops hand to one another without counting who holds them.

numba counts the holders of an array, and counts up and down, with an atomic instruction each, wherever one compiled
function hands it to another. In a loop that calls small functions millions of times that is most of the time: five
sixths of that of the event engine. A view made by `uncounted` has no count, so nothing is counted; whoever makes it
holds the array itself for as long as the view is used, as a function holds what it was called with.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

from typing import Any

from numba.core import cgutils
from numba.extending import intrinsic


def _uncounted(_context: Any, array: Any) -> tuple[Any, Any]:
    """Take an array as it is, without the object that counts its holders."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        make = context.make_array(array)
        given, view = make(context, builder, arguments[0]), make(context, builder)
        for field in ("data", "nitems", "itemsize", "shape", "strides"):
            setattr(view, field, getattr(given, field))
        view.meminfo, view.parent = (cgutils.get_null_value(each.type) for each in (view.meminfo, view.parent))
        return view._getvalue()

    return array(array), generate


# Typed as Any because its Python signature is not the one it is called with: an array, in compiled loops only.
uncounted: Any = intrinsic(_uncounted)
