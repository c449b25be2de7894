"""Names of methods in records, as they are typed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from ...protocols.errors import unknown


def named_methods(typed: Iterable[str], known: Collection[str], where: str) -> tuple[str, ...]:
    """The names in records of methods as they are typed: "co-teaching", or "mine.py:Mine" for "mine.Mine".

    Args:
        typed: the names.
        known: the names there are.
        where: where they are, for the message.

    Raises:
        BadInput: one that is not there.
    """
    return tuple(dict.fromkeys(named_method(name, known, where) for name in typed))


def named_method(typed: str, known: Collection[str], where: str) -> str:
    """The name of one method. Arguments and errors as above."""
    path, of_file, rest = typed.rpartition(".py:")
    base, colon, variant = typed.partition(":")
    spelled = f"{Path(path).name}.{rest}" if of_file else f"{base.replace('-', '_')}{colon}{variant}"
    found = next((name for name in (typed, spelled) if name in known), None)
    if found is None:
        raise unknown(f"method among {where}", typed, known)
    return found
