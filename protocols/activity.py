"""What goes on in a long computation, told to whoever listens: a command line, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str], object]

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)
_NOW: ContextVar[str] = ContextVar("now", default="")


@contextmanager
def heard(listener: Listener) -> Iterator[None]:
    """Tells a listener what goes on in the block: words such as "reading fer2013.csv", and "" where that has ended."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Says what the block does, to the listener there is."""
    tell = listener()
    before = _NOW.set(what)
    tell(what)
    try:
        yield
    finally:
        _NOW.reset(before)
        tell(_NOW.get())


def listener() -> Listener:
    """Who is told now; a function that does nothing where nobody is."""
    return _LISTENER.get() or (lambda what: None)
