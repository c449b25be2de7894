"""The objects that can be reached from an object."""

from __future__ import annotations

import gc
from types import FunctionType, MethodType, ModuleType

REACH_LIMIT = 200_000


def reachable(root: object) -> list[object]:
    """Everything reachable by references from an object: modules, classes and functions' globals left out.

    Raises:
        OverflowError: more than REACH_LIMIT objects.
    """
    seen: dict[int, object] = {}
    queue: list[object] = [root]
    while queue:
        if len(seen) >= REACH_LIMIT:
            raise OverflowError(f"more than {REACH_LIMIT:,} objects can be reached")
        item = queue.pop()
        if id(item) in seen or isinstance(item, (type, ModuleType)):
            continue
        seen[id(item)] = item
        if isinstance(item, FunctionType):  # a function's globals are its module's
            queue += [cell.cell_contents for cell in item.__closure__ or ()]
            queue += [*(item.__defaults__ or ()), *(item.__kwdefaults__ or {}).values()]
        elif isinstance(item, MethodType):
            queue += [item.__self__, item.__func__]
        else:
            queue += gc.get_referents(item)
    return list(seen.values())
