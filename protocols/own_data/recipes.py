"""Training recipes by name, any field of which a file may replace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..base import Augmentation, Recipe, Sources
from ..definitions.native_recipes import EAC, MIXUP, MLCR, NCT, RUL, SCN, ULC_AG
from ..definitions.recipes import (
    COCURING,
    COCURING_OVERSAMPLED,
    RECOT,
    RECOT_EMOTIONET,
    RECOT_SCRATCH,
    RHLS_BP4D,
    RHLS_DISFA,
    pooled,
)
from ..errors import BadInput
from .sections import Section

Part = TypeVar("Part", Recipe, Augmentation)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "cocuring": COCURING,
        "cocuring-oversampled": COCURING_OVERSAMPLED,
        "eac": EAC,
        "mixup": MIXUP,
        "mlcr": MLCR,
        "nct": NCT,
        "recot": RECOT,
        "recot-emotionet": RECOT_EMOTIONET,
        "recot-pooled": pooled(RECOT),
        "recot-scratch": RECOT_SCRATCH,
        "rhls-bp4d": RHLS_BP4D,
        "rhls-disfa": RHLS_DISFA,
        "rul": RUL,
        "scn": SCN,
        "ulc-ag": ULC_AG,
    }
)
"""The recipes of the papers, by the name a file gives."""

_NOT_REPLACED = ("sources", "augmentation", "neck", "neck_factors", "strong")
_LEAST: Mapping[str, float] = MappingProxyType({"epochs": 1, "batch_size": 2, "crop": 1, "resize": 1, "max_steps": 1})
_POSITIVE = ("learning_rate", "head_factor", "decay")
_SHARES = ("momentum", "flip", "jitter_probability", "translate", "grayscale", "erase")
_MOST = 1_000_000


def with_changes(recipe: Recipe, section: Section) -> Recipe:
    """The recipe with the values that a section of a file gives, which are then the source of these values.

    Raises:
        BadInput: an unknown field, a value of another type or outside its range, or values that contradict each other.
    """
    own = {f.name for f in fields(Recipe)} - set(_NOT_REPLACED)
    section.known([*sorted(own), "name", "augmentation"])
    inner = section.section("augmentation").known([f.name for f in fields(Augmentation) if f.name not in _NOT_REPLACED])
    recipe, changed = _replaced(recipe, section, own & set(section.content))
    augmentation, changed_inside = _replaced(recipe.augmentation, inner, set(inner.content))
    names = [*changed, *(f"augmentation.{name}" for name in changed_inside)]
    _check(section, recipe)
    return replace(recipe, augmentation=augmentation, sources=_sources(recipe.sources, names))


def _replaced(part: Part, section: Section, names: set[str]) -> tuple[Part, list[str]]:
    hints = get_type_hints(type(part))
    values = {name: _value(section, name, hints[name]) for name in sorted(names)}
    return replace(part, **values), list(values)


def _value(section: Section, name: str, hint: Any) -> Any:
    """The value of a key as the type of the field asks for it."""
    if get_origin(hint) in (Union, UnionType):  # int | None: "none" for None
        if section.content[name] == "none":
            return None
        hint = next(one for one in get_args(hint) if one is not NoneType)
    if get_origin(hint) is Literal:
        return section.text(name, choices=get_args(hint))
    if hint is str:
        return section.text(name)
    if hint is int:
        return section.whole(name, 0, int(_LEAST.get(name, 0)))
    if hint is float:
        low = 1e-12 if name in _POSITIVE else 0.0
        return section.number(name, 0.0, low, 1.0 if name in _SHARES else _MOST)
    found, inside = section.content[name], get_args(hint)
    length = None if inside[-1] is Ellipsis else len(inside)
    whole = inside[0] is int
    right = isinstance(found, list) and (length is None or len(found) == length)
    if not right or any(type(one) not in ((int,) if whole else (int, float)) or not 0 <= one <= _MOST for one in found):
        count = "" if length is None else f"{length} "
        raise section.error(name, f"must be a list of {count}{'whole numbers' if whole else 'numbers'} of 0 or more")
    return tuple(found) if whole else tuple(map(float, found))


def _check(section: Section, recipe: Recipe) -> None:
    """Raises BadInput for values that contradict each other."""
    per_batch = recipe.verified_per_batch
    if recipe.sampler == "fixed" and not 0 < per_batch < recipe.batch_size:
        what = f"between 1 and the batch size, {recipe.batch_size}, less 1; here it is {per_batch}"
        raise BadInput(f"{section.file}: [{section.name}]: the sampler 'fixed' needs verified_per_batch {what}")
    if recipe.schedule == "steps" and list(recipe.milestones) != sorted(set(recipe.milestones)):
        raise section.error("milestones", "must be epochs in ascending order")


def _sources(sources: Sources, changed: list[str]) -> Sources:
    """The sources without those of the changed values, which are the user's."""
    kept = []
    for names, text in sources:
        owner, dot, rest = names.rpartition(".")
        left = [part for part in rest.split(", ") if f"{owner}{dot}{part}" not in changed]
        if left:
            kept.append((f"{owner}{dot}{', '.join(left)}", text))
    return (*kept, *((name, "the user's file") for name in changed))
