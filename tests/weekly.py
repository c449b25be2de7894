"""Which cases of a test run at every push; the others run once a week, and with `make faults`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def often(cases: Iterable[Any], count: int, names: Sequence[str] | None = None) -> list[Any]:
    """Cases of a test: the first `count` run at every push, the others weekly; `names` are their ids, if given."""
    values = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [
        pytest.param(*case, marks=[] if at < count else [pytest.mark.weekly], id=names[at] if names else None)
        for at, case in enumerate(values)
    ]
