"""The conformance suite: all checks that apply to a method, one after the other."""

from __future__ import annotations

import contextlib
import inspect
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...protocols.activity import doing
from ...protocols.base import Kind
from ...protocols.errors import BadInput
from .. import registry
from ..isolation.process_state import CHILDREN, THREADS, ProcessState
from ..method_source import source_files
from ..training.failures import message_of, place_of
from . import checks
from .checks import LeftOut, NotConforming
from .toy import toy_trial

Run = Callable[[str, Kind, Path], None]
State = Literal["ok", "failed", "left out"]


@dataclass(frozen=True)
class Check:
    """A check: what a method does that passes it, and the function of a method that it is about ("" for its class)."""

    title: str
    run: Run
    about: str = ""
    kinds: tuple[Kind, ...] = ("single", "multi")


TO_ITS_END = Check("runs to its end as a trial", checks.runs_to_its_end)
CHECKS = (
    Check("learns a separable set", checks.learns_a_separable_set, "loss"),
    Check("repeats itself with the same seed alone", checks.repeats_itself),
    Check("draws from batch.generator alone", checks.draws_from_its_generator),
    Check("keeps its state in parameters and buffers", checks.keeps_its_state_in_buffers),
    Check("predicts probabilities, of one image as of many", checks.predicts_probabilities, "predict"),
    Check("says what it trained on in the agreed shapes", checks.says_what_it_trained_on, "loss"),
    Check("trains where an AU has no known label", checks.trains_without_labels_of_an_au, "loss", ("multi",)),
    Check("learns nothing from unknown labels", checks.learns_nothing_from_unknown_labels, "loss", ("multi",)),
    Check("reaches no reference label", checks.reaches_no_reference),
    Check("learns from what it is handed alone", checks.learns_from_what_it_is_handed),
    Check("opens nothing while it trains", checks.opens_nothing),
    TO_ITS_END,
    Check("names the sources of its hyper-parameters", checks.names_its_sources, "Params"),
)


@dataclass(frozen=True)
class Finding:
    """What a check found of a method: `reason` and `place` (as in mine.py:14) say why and where it failed."""

    method: str
    labels: Kind
    check: str
    state: State
    reason: str = ""
    place: str = ""
    seconds: float = 0.0


def examine(name: str) -> Iterator[Finding]:
    """Checks a method on every kind of labels that it can learn from, and that its variants run.

    Args:
        name: as `run --method` takes it: NAME or path/to/file.py:Class.

    Raises:
        BadInput: no such method, or one that is not complete.
    """
    spec = registry.find(name)
    if Path(spec.target).is_absolute():  # a file: checks work in other folders
        name = spec.target + (f":{spec.variant}" if spec.variant else "")
    for kind in kinds_of(name):
        for check in CHECKS:
            if kind in check.kinds:
                yield _finding(check, spec.name, name, kind)
        for variant in variants_of(name, kind):
            yield _finding(TO_ITS_END, f"{spec.name}:{variant}", f"{name}:{variant}", kind)


def kinds_of(name: str) -> list[Kind]:
    """The kinds of labels that a method can learn from."""
    needs, kinds = registry.find(name).needs, ("multi", "single")
    return [kind for kind in kinds if kind in needs]  # type: ignore[misc]


def variants_of(name: str, kind: Kind) -> list[str]:
    """The variants of a method that can learn from a kind of labels; none of a variant."""
    spec = registry.find(name)
    variants = () if spec.variant else spec.load().variants
    needs = {variant: registry.find(f"{name}:{variant}").needs for variant in variants}
    lacks = "verified" if kind == "single" else "votes"
    return [name for name, wanted in needs.items() if lacks not in wanted]


def _finding(check: Check, method: str, name: str, kind: Kind) -> Finding:
    """Runs a check in a folder of its own, and undoes what the method changed of this process."""
    began = time.monotonic()
    process = ProcessState.now(frozenset({CHILDREN, THREADS}))  # a server that starts processes stays
    state: State = "ok"
    reason = place = ""
    try:
        with tempfile.TemporaryDirectory() as made, doing(f"checking that it {check.title}"):
            folder = Path(made).resolve()
            with _told(name, kind, folder):
                check.run(name, kind, folder)
    except NotConforming as error:
        state, reason = "failed", str(error)
        place = _own(error.place, name) or _line(check.about, reason, name)
    except LeftOut as why:
        state, reason = "left out", str(why)
    process.restore()
    return Finding(method, kind, check.title, state, reason, place, time.monotonic() - began)


@contextlib.contextmanager
def _told(name: str, kind: Kind, folder: Path) -> Iterator[None]:
    """Turns whatever a method raises into NotConforming, with the last line of its file that led to it."""
    try:
        yield
    except (NotConforming, LeftOut, KeyboardInterrupt):
        raise
    except BadInput as error:
        raise NotConforming(str(error)) from error
    except BaseException as error:
        place = place_of(error, toy_trial(name, folder, kind=kind))
        raise NotConforming(f"{type(error).__name__}: {message_of(error)}", place) from error


def _own(place: str, name: str) -> str:
    """A place in a method's own files; "" for one in other code, which its user did not write."""
    files = {path.name for path in source_files(registry.find(name).target)}
    return place if place.rpartition(":")[0] in files else ""


def _line(about: str, reason: str, name: str) -> str:
    """The line of a method's file that a reason, or else a check, is about: of a function of its own, or its class."""
    cls = registry.find(name).load()
    about = next((part for part in ("predict", "loss") if f"{part}()" in reason), about)
    part = vars(cls).get(about, cls)
    with contextlib.suppress(OSError, TypeError):
        file, (_, line) = inspect.getsourcefile(part), inspect.getsourcelines(part)
        return f"{Path(file or '').name}:{line}"
    return ""
