"""Descriptions ("cards") of protocols and methods, as rows of (name, value, source or remark).

All values come from the frozen objects that are fingerprinted; only the noise rates of generated faces are measured.
The readers of data sets are imported where they are needed, so that a method's card is quick.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from ..protocols import catalog
from ..protocols.base import Protocol, Recipe, Size, StrongAugmentation
from ..protocols.definitions.native_recipes import native_recipe
from ..protocols.definitions.strong_views import strong_of
from ..protocols.offers import offered_by_labels
from .method_summary import Description

CardRows = list[tuple[str, str, str]]

KINDS = {"single": "one label a face", "multi": "action units, each present, absent or unknown"}
METRICS = {
    "accuracy": "share of test rows whose most probable class is the reference label",
    "f1": "F1 of the positive class at a threshold of 0.5, over known labels; 0 where undefined; mean over AUs with "
    "known labels, then over folds",
}
UNSTATED = "unstated: ours"


def method_rows(method: Description) -> CardRows:
    """(name, value, source) of each hyper-parameter of a method, then of the training recipes of its own paper.

    A method with a strong view has a row that says so.
    """
    rows = [(name, _plain(value), source) for name, value, source in method.parameters]
    if method.strong:
        rows.append(("views", "weak and strong", "the strong one is the same for all methods of a protocol: its card"))
    recipes = _native_recipes(method)
    for recipe, data in recipes.items():
        shares_data = any(other is not recipe and set(others) & set(data) for other, others in recipes.items())
        which = f", {', '.join(data)}" * (len(recipes) > 1) + f" from {recipe.weights}" * shares_data
        rows += [(f"native {name}{which}", value, source) for name, value, source in recipe_rows(recipe)]
    return rows


def _native_recipes(method: Description) -> dict[Recipe, list[str]]:
    """The training recipes of a method's own paper, each with its data sets."""
    found: dict[Recipe, list[str]] = {}
    for protocol in catalog.PROTOCOLS.values():
        recipe = native_recipe(method.name, protocol) if protocol.kind in method.needs else None
        if recipe is not None and protocol.data[0] not in found.setdefault(recipe, []):
            found[recipe].append(protocol.data[0])
    return found


def protocol_rows(protocol: Protocol, profile: str) -> CardRows:
    """(name, value, remark) of everything that defines a protocol; subjects are those at a profile."""
    about = dict(protocol.about)
    offers = protocol.offers | offered_by_labels(protocol, "real")
    rows: CardRows = [
        ("version", str(protocol.version), ""),
        *((f"fingerprint, {name}", protocol.fingerprint(name), "") for name in protocol.profiles),
        ("design", protocol.design, KINDS[protocol.kind]),
        ("labels", ", ".join(protocol.names), about.pop("classes", "")),
        ("data", ", ".join(protocol.data), about.pop("training", "")),
        ("alignment", about.pop("alignment", "none: the faces as published"), ""),
        *((f"option {name}", value, "") for name, value in protocol.options),
        ("noise", protocol.noise, about.pop("noise", "")),
    ]
    if protocol.noisy_labels_from:
        rows.append(
            (
                "noisy labels from",
                protocol.noisy_labels_from,
                "one teacher for each fold and seed, shared by all methods",
            )
        )
    rows += [
        ("noise seed", f"{protocol.noise_seed} + draw", "trial seed s uses draw s"),
        (
            "levels",
            ", ".join(map(str, protocol.levels)) or "none",
            "nominal rates; each record has the share of labels that are wrong",
        ),
        ("offers", ", ".join(sorted(offers)) or "nothing", "what methods can use"),
        ("metric", protocol.metric, METRICS[protocol.metric]),
        *_fold_rows(protocol, profile, about.pop("folds", "")),
        _strong_row(strong_of(protocol.profile(profile).recipe.augmentation, protocol.kind)),
    ]
    if protocol.rates:
        rates = ", ".join(f"{name} {rate:g}" for name, rate in zip(protocol.names, protocol.rates, strict=True))
        rows.append(("base rates", rates, "share of positive labels; generated faces are drawn with about these"))
    if protocol.runs:
        rows.append(
            ("seeds", str(protocol.runs), "number of runs in the paper; other profiles have a default of their own")
        )
    remark = about.pop("sizes", "")
    rows += [(f"size, {name}", _size(protocol, protocol.profile(name).size), remark) for name in protocol.profiles]
    return rows + [(name, text, "") for name, text in about.items()]


def _strong_row(strong: StrongAugmentation) -> tuple[str, str, str]:
    """The strong view, which only some methods ask for."""
    magnitude = "at full magnitude" if strong.magnitude == "fixed" else "at any magnitude"
    before = "the ordinary view" if strong.whole_view else "its crop and flip"
    sides = "any side up to" if strong.magnitude == "uniform" else "a side of"
    text = (
        f"{before}, then {strong.slots} of {len(strong.ranges)} operations, each with probability "
        f"{strong.probability:g} {magnitude}, then a square of {sides} {strong.cutout[1]:.3g} of the image's cut out"
    )
    return "strong view", text, strong.source or UNSTATED


def _fold_rows(protocol: Protocol, profile: str, remark: str) -> CardRows:
    """The subjects of each part, and the numbers of training, validation and test subjects of each fold."""
    if not protocol.folds:
        return [("folds", "none: one fixed split", "")]
    if protocol.own is not None:
        return [("folds", ", ".join(protocol.folds), remark)]
    if not protocol.parts:
        return [("folds", ", ".join(protocol.folds), "a random split each; every row counts as a subject of its own")]
    from ..protocols.designs.action_units import subjects_of

    rows = [(f"subjects, {name}", str(len(subjects)), " ".join(subjects)) for name, subjects in protocol.parts]
    for fold in protocol.folds:
        parts = subjects_of(protocol, protocol.profile(profile).size, fold)
        counts = ", ".join(
            f"{len(part)} {what}" for part, what in zip(parts, ("train", "validate", "test"), strict=True) if part
        )
        rows.append((f"fold {fold}", counts, f"subjects at the {profile} profile"))
    return rows


def _size(protocol: Protocol, size: Size) -> str:
    """How many rows a profile has, on real and on generated faces, and how large the faces are."""
    by_subject = bool(protocol.parts)
    rows = {"train": "all" if size.train is None else f"{size.train:,}"}
    rows["noisy"] = f"{size.noisy:,}" if size.noisy else ""
    held_out = "all" if size.validation is None else f"{size.validation:,}"
    rows["validation"] = f"{held_out} subjects" if by_subject else held_out
    rows["test"] = "" if by_subject and size.test is None else "all" if size.test is None else f"{size.test:,}"
    real = ", ".join(f"{name} {text}" for name, text in rows.items() if text)
    counts = "/".join(f"{count:,}" for count in size.generated)
    noisy = size.noisy if size.generated_noisy is None else size.generated_noisy
    if not any(size.generated):
        return f"{real}, at most {size.side} px"
    generated = f"generated (train/validation/test) {counts}" + (f" and noisy {noisy:,}" if noisy else "")
    return f"{real}, at most {size.side} px; {generated}, {size.generated_side or size.side} px"


def noise_rows(protocol: Protocol, profile: str) -> CardRows:
    """(name, value, remark) of the share of wrong labels on generated faces, at each level, in draw 0 and fold 1."""
    from ..protocols.loading import open_data

    data = open_data(protocol, profile, "generated", Path())
    fold = protocol.folds[0] if protocol.folds else None
    remark = f"generated faces, {profile} profile, draw 0, against the reference labels" + (f", {fold}" if fold else "")
    rows = []
    for level in protocol.levels or (None,):
        realised = data.cell(fold, level, 0).noise["realised"]
        name = "effective noise" + ("" if level is None else f" at {level:g}")
        if realised is None:
            rows.append((name, "not known yet", "a teacher labels the rows when a trial runs; the record has the rate"))
        else:
            rows.append((name, f"{realised:.4f}", remark))
    return rows


def recipe_rows(recipe: Recipe) -> CardRows:
    """(name, value, source) of each value that a training recipe uses."""
    augmentation = recipe.augmentation
    unused = {"sources", "augmentation"}
    unused |= {"momentum"} if recipe.optimizer != "sgd" else set()
    unused |= {"decay"} if recipe.schedule == "constant" else set()
    unused |= {"milestones"} if recipe.schedule != "steps" else set()
    unused |= {"verified_per_batch"} if recipe.sampler != "fixed" else set()
    unused |= {"neck", "neck_factors"} if not recipe.neck else set()
    unused |= {"erase_area"} if not augmentation.erase else set()
    unused |= {"strong"} if augmentation.strong is None else set()
    sources = dict(recipe.sources)
    rows = [
        (f"{owner}{f.name}", _plain(getattr(item, f.name)), _source(sources, f"{owner}{f.name}"))
        for owner, item in (("", recipe), ("augmentation.", augmentation))
        for f in fields(item)
        if f.name not in unused
    ]
    left_out = [name for name in sources if not any(part in row[0] for part in name.split(", ") for row in rows)]
    return rows + [(name, "left out", sources[name]) for name in left_out]


def _source(sources: dict[str, str], name: str) -> str:
    """The source of a field; one entry may be for several ("schedule, decay") or for a group ("augmentation")."""
    found: dict[str, str] = {}
    for names, source in sources.items():
        group, dot, rest = names.rpartition(".")
        found |= {f"{group}{dot}{part.strip()}": source for part in rest.split(",")}
    return found.get(name, found.get(name.partition(".")[0], UNSTATED))


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(" ".join(map(str, item)) if isinstance(item, tuple) else str(item) for item in value) or "none"
    return "none" if value in (None, "") else str(value)
