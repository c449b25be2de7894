"""The papers of the methods, and of methods that are not implemented here: what to cite, where to read it, code."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

GITHUB = "https://github.com/"


@dataclass(frozen=True)
class MethodPaper:
    """Where a method comes from.

    Attributes:
        words: authors and short title; for a method without a paper, what it is.
        venue, year: "" and None without a paper.
        link: to the paper; "" without one.
        code: the authors' repository on GitHub as "owner/name"; "" where none was released or used.
    """

    words: str
    venue: str = ""
    year: int | None = None
    link: str = ""
    code: str = ""

    @property
    def code_link(self) -> str:
        """The address of the authors' code; "" without it."""
        return GITHUB + self.code if self.code else ""


@dataclass(frozen=True)
class ReportedOnly:
    """A method that is not implemented here: its numbers are quoted from papers, none is measured.

    Attributes:
        words, venue, year, link: as of a `MethodPaper`.
        why: the reason.
    """

    words: str
    venue: str
    year: int
    why: str
    link: str = ""


@cache
def method_papers() -> Mapping[str, MethodPaper]:
    """The papers by method, without variants; methods of a user's own are not there."""
    text = (files(__package__) / "methods.toml").read_text(encoding="utf-8")
    return MappingProxyType({name: MethodPaper(**entry) for name, entry in tomllib.loads(text).items()})


@cache
def reported_only() -> Mapping[str, ReportedOnly]:
    """Methods that are not implemented here, by the names their papers give them."""
    text = (files(__package__) / "reported_only.toml").read_text(encoding="utf-8")
    return MappingProxyType({name: ReportedOnly(**entry) for name, entry in tomllib.loads(text).items()})
