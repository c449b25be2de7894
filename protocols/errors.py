"""The errors a user can put right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BadInput(ValueError):
    """Bad usage or bad data: one line that names the thing, the place and what to do. The command line exits with 2."""


def unknown(kind: str, name: str, known: Iterable[str]) -> BadInput:
    """The error for a name that does not exist, with the nearest names that do.

    Args:
        kind: what was named, as the user would say it ("protocol", "method").
        name: what was typed.
        known: the names that exist.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return BadInput(f"unknown {kind} '{name}': {hint}")
