"""The papers of the methods: what to cite, where it was published, where to read it, the authors' code."""

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


@cache
def method_papers() -> Mapping[str, MethodPaper]:
    """The papers by method, without variants; methods of a user's own are not there."""
    text = (files(__package__) / "methods.toml").read_text(encoding="utf-8")
    return MappingProxyType({name: MethodPaper(**entry) for name, entry in tomllib.loads(text).items()})
