"""`label_findings.json` of an output folder: what the scores of its trials find, by trial folder.

`label-errors` writes it, since it has read the reference labels; the page reads it, and that of the results that ship.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

from ...protocols.errors import UNREADABLE, BadInput
from ...protocols.files import write_atomic
from .label_estimates import Estimate
from .label_findings import Finding, Found

FILE = "label_findings.json"
VERSION = 1
_DIGITS = 6


@dataclass(frozen=True)
class LabelFindings:
    """What the scores of some trials find, by the trial's folder.

    Attributes:
        found: by score.
        estimated: by the name of the estimate of the number of wrong labels.
    """

    found: dict[str, Mapping[str, Finding]] = field(default_factory=dict)
    estimated: dict[str, Mapping[str, Estimate]] = field(default_factory=dict)

    def joined(self, other: LabelFindings) -> LabelFindings:
        """Those of both; of a trial that both have, the other's."""
        return LabelFindings(self.found | other.found, self.estimated | other.estimated)

    def only(self, trials: Collection[str]) -> LabelFindings:
        """Those of some trials."""
        found = {trial: each for trial, each in self.found.items() if trial in trials}
        return LabelFindings(found, {trial: each for trial, each in self.estimated.items() if trial in trials})


def write_findings(folder: Path, new: LabelFindings) -> None:
    """Adds findings to the file of an output folder, atomically; a damaged file is replaced."""
    try:
        whole = read_findings([folder]).joined(new)
    except BadInput:
        whole = new
    names = {each.__name__: [part.name for part in fields(each)] for each in (Found, Estimate)}
    trials = {
        trial: {
            "scores": {
                name: [_plain(finding.whole), [_plain(each) for each in finding.by_class]]
                for name, finding in found.items()
            },
            "estimates": {name: _plain(each) for name, each in whole.estimated.get(trial, {}).items()},
        }
        for trial, found in sorted(whole.found.items())
    }
    content = {"version": VERSION, "numbers": names, "trials": trials}
    write_atomic(folder / FILE, (json.dumps(content, separators=(",", ":")) + "\n").encode())


def read_findings(folders: Iterable[Path]) -> LabelFindings:
    """The findings of output folders, as far as they have any of this version.

    Raises:
        BadInput: a file that is damaged.
    """
    whole = LabelFindings()
    for path in (folder / FILE for folder in folders):
        if not path.is_file():
            continue
        try:
            content = json.loads(path.read_bytes())
            if content["version"] == VERSION:
                whole = whole.joined(_read(content["trials"]))
        except (*UNREADABLE, TypeError, AttributeError) as error:
            why = " ".join(str(error).split())[:120]
            raise BadInput(f"{path} is damaged ({why}): remove it, and run label-errors again") from error
    return whole


def _read(trials: Mapping[str, Any]) -> LabelFindings:
    found = {
        trial: {
            name: Finding(Found(*_floats(total)), tuple(Found(*_floats(each)) for each in parts))
            for name, (total, parts) in content["scores"].items()
        }
        for trial, content in trials.items()
    }
    estimated = {
        trial: {name: Estimate(*_floats(each)) for name, each in content["estimates"].items()}
        for trial, content in trials.items()
    }
    return LabelFindings(found, estimated)  # type: ignore[arg-type]


def _plain(numbers: Found | Estimate) -> list[float | None]:
    return [None if math.isnan(value) else round(value, _DIGITS) for value in astuple(numbers)]


def _floats(values: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]
