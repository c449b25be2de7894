"""Methods against methods over protocols, as the page shows them: the matrices of `meta`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..analysis.meta import Meta, metas
from ..analysis.view import Rows
from ..records.record import Record
from ..tables.meta_tables import MARKS, notes_of_meta, title_of_meta


def matrices(records: Sequence[Record], rows: Rows) -> list[dict[str, Any]]:
    """A matrix for each setting and metric in which methods can be compared.

    Returns:
        "title", "metric", "methods" (labels, in order), "protocols", "notes", and "cells" [methods, methods], each null
        or [mean in points, mark, p, p (Holm), protocols ahead, protocols], row minus column.
    """
    return [_matrix(meta) for meta in metas(records, rows)]


def _matrix(meta: Meta) -> dict[str, Any]:
    return {
        "title": title_of_meta(meta, "method against method"),
        "metric": meta.metric,
        "methods": [meta.labels[method] for method in meta.methods],
        "protocols": [key for group in meta.groups for key in group],
        "notes": [MARKS, *notes_of_meta(meta)],
        "cells": [[_cell(meta, method, rival) for rival in meta.methods] for method in meta.methods],
    }


def _cell(meta: Meta, method: str, rival: str) -> list[Any] | None:
    found = meta.combined.get((method, rival))
    if found is None:
        return None
    tests = [round(found.p, 6), round(found.adjusted, 6)]
    return [round(100 * found.mean, 4), found.mark, *tests, found.ahead, len(found.effects)]
