"""Checks that a class is a complete method, so that mistakes in a user's file are reported before anything is run."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from ..methods.base import VIEW_KINDS, Method, Variant
from ..protocols.errors import BadInput

KINDS = frozenset({"single", "multi"})
_PARTS = "see CONTRIBUTING.md for a method's parts"


def check_class(place: str, name: str, cls: type[Method]) -> None:
    """Raises BadInput unless a class is a complete method; the message names the first attribute that is wrong.

    Args:
        place: the module or file of the class.
        name: of the class.
        cls: the class.
    """
    for fault in _faults(cls):
        raise BadInput(f"{place}: {name}{fault}")


def _faults(cls: Any) -> Iterator[str]:
    """What is wrong, in order: each check relies on those before it, and on no attribute having its declared type."""
    for part in ("loss", "predict"):
        if getattr(cls, part) is getattr(Method, part):
            yield f" lacks {part}(); {_PARTS}"
    for part in ("loss", "predict", "prepare", "begin_epoch", "after_step", "parameter_groups"):
        if not callable(getattr(cls, part)):
            yield f".{part} must be a function; {_PARTS}"
    if not isinstance(cls.__doc__, (str, type(None))):
        yield ".__doc__ must be text"
    if not isinstance(cls.needs, (set, frozenset)) or not cls.needs & KINDS:
        yield ".needs must be a set with 'single' or 'multi', the labels it learns from"
    if not _are_names(cls.needs):
        yield ".needs must be a set of names alone, as in frozenset({'single', 'noise_rate'})"
    views = cls.views
    if not isinstance(views, property) and not _are_views(views):
        what = "the augmented views of each image, or the kind of each, as in ('weak', 'strong')"
        yield f".views must be a whole number of at least 1, {what}, not {views!r}"
    if not isinstance(cls.Params, type) or not is_dataclass(cls.Params) or any(map(_required, fields(cls.Params))):
        yield ".Params must be a dataclass whose every field has a default"
    for parameter in fields(cls.Params):
        if not isinstance(parameter.metadata.get("source", ""), str):
            yield f".Params: the source of {parameter.name} must be text"
    if not isinstance(cls.variants, Mapping):
        yield ".variants must be a mapping of names to Variant(...)"
    for name, variant in cls.variants.items():
        if not isinstance(name, str) or not name.isprintable() or not name:
            yield f".variants: {name!r} is no name for a variant; use letters, digits and '-'"
        if not isinstance(variant, Variant):
            yield f".variants['{name}'] must be a Variant(...), of fernoise_bench.methods.base"
        for fault in _variant_faults(cls, variant):
            yield f".variants['{name}'] {fault}"


def _variant_faults(cls: Any, variant: Any) -> Iterator[str]:
    if not isinstance(variant.about, str):
        yield "must have a text as its description (about)"
    if not isinstance(variant.params, Mapping):
        yield "must have a mapping of hyper-parameters to values as its params"
    known = [parameter.name for parameter in fields(cls.Params) if parameter.init]
    for parameter in variant.params:
        if parameter not in known:
            near = difflib.get_close_matches(str(parameter), known, n=1) or known or ["none"]
            yield f"changes the hyper-parameter {parameter!r}, which Params lacks; it has {', '.join(near)}"
    for names in (variant.needs, variant.without):
        if not isinstance(names, (set, frozenset)) or not _are_names(names):
            yield "must have sets of names as its needs and without"
    if not ((cls.needs - variant.without) | variant.needs) & KINDS:
        yield "leaves neither 'single' nor 'multi' of the method's needs, the labels it learns from"


def _are_views(views: Any) -> bool:
    if type(views) is tuple:
        return bool(views) and all(view in VIEW_KINDS for view in views)
    return type(views) is int and views >= 1


def _are_names(items: set[Any] | frozenset[Any]) -> bool:
    return all(isinstance(item, str) and item.isprintable() for item in items)


def _required(parameter: Field[Any]) -> bool:
    """Whether a dataclass field has to be given."""
    return parameter.init and parameter.default is MISSING and parameter.default_factory is MISSING
