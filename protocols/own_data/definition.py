"""From a TOML file to the protocol it defines; no table or picture is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from ..base import PROFILES, Kind, Profile, Protocol, Recipe, Size
from ..definitions.recipes import SMALL_SIDE, TRANSFER_SIDE, at_profile
from ..errors import BadInput
from ..own_files import BOX, OwnFiles, Pairs
from .recipes import RECIPES, with_changes
from .sections import Section, read_toml

DESIGN = "own"
KINDS: Mapping[str, Kind] = MappingProxyType({"expressions": "single", "action units": "multi"})
METRICS = MappingProxyType({"single": "accuracy", "multi": "f1"})
NOISE: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        "single": (
            "own", "votes", "symmetric", "symmetric, by coin", "symmetric, true class included", "pair flip"
        ),
        "multi": ("own", "flip", "balanced flip"),
    }
)  # fmt: skip
OWN_NOISE = "errors of the given labels"
PARTS = ("train", "validation", "test")
MOST_FOLDS, MOST_LABELS = 100, 1_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SIZES: Mapping[str, Size] = MappingProxyType(
    {
        "small": Size(train=4_000, validation=1_000, side=SMALL_SIDE),
        "transfer": Size(train=4_000, validation=1_000, side=TRANSFER_SIDE),
        "smoke": Size(train=320, validation=100, test=200, side=SMALL_SIDE),
    }
)
_EPOCHS: Mapping[Kind, int] = MappingProxyType({"single": 15, "multi": 30})
_COLUMNS = ("path", "given", "reference", "verified", "subject", "split", "fold", "annotator", "votes", "box")
KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "": ("protocol", "data", "pictures", "split", "noise", "recipe", "profile"),
        "protocol": ("name", "version", "title", "kind", "labels", "metric"),
        "data": (
            "table", "pictures", "columns", "values", "ignore", "unknown", "present_from", "reference",
            "reference_rows",
        ),
        "pictures": ("side", "unreadable", "copies"),
        "split": ("train", "validation", "test", "folds", "seed", "validation_share", "exclusive"),
        "noise": ("kind", "levels", "seed", "on"),
    }
)  # fmt: skip


def protocol_of_toml(file: Path) -> Protocol:
    """The protocol that a TOML file defines.

    Raises:
        BadInput: a file that is missing or no TOML, an unknown key, a value of another type or outside its range, or
            values that contradict each other; the message names file and key.
    """
    whole = read_toml(file).known(KEYS[""])
    protocol, data, pictures, split, noise = (
        whole.section(name).known(KEYS[name]) for name in ("protocol", "data", "pictures", "split", "noise")
    )
    kind = KINDS[protocol.text("kind", choices=tuple(KINDS))]
    names = _labels(protocol)
    name = protocol.text("name")
    if not _NAME.fullmatch(name):
        raise protocol.error("name", "must be of letters, digits, '.', '-' and '_', at most 64, the first no mark")
    own = _files(file, kind, names, data, split)
    noise_kind, levels = _noise(noise, kind, own)
    options = _options(own, data, pictures, split, noise)
    folds = _folds(split, own)
    has_reference = dict(options)["reference"] != "none"
    drawn = noise_kind != OWN_NOISE
    known_rate = drawn or (has_reference and dict(options)["reference rows"] == "all")
    offers = {"verified"} if own.column("verified") else set()
    offers |= {"noise_rate"} if kind == "single" and known_rate else set()
    side = int(dict(options)["side"])
    profiles = _profiles(whole, kind, side, verified="verified" in offers)
    protocol.text("metric", METRICS[kind], choices=(METRICS[kind],))
    return Protocol(
        name=name,
        version=protocol.whole("version", 1, 1),
        design=DESIGN,
        kind=kind,
        names=names,
        data=(name,),
        metric="accuracy" if kind == "single" else "f1",
        noise=noise_kind,
        noise_seed=noise.whole("seed", 0),
        levels=levels,
        folds=folds,
        offers=frozenset(offers),
        options=options,
        paper=profiles["paper"],
        small=profiles["small"],
        smoke=profiles["smoke"],
        transfer=profiles.get("transfer"),
        title=protocol.text("title", f"own data: {name}"),
        about=_about(own, options, folds, drawn=drawn),
        own=own,
    )


def _labels(protocol: Section) -> tuple[str, ...]:
    names = protocol.texts("labels")
    if not 2 <= len(names) <= MOST_LABELS or any(not name.strip() for name in names):
        raise protocol.error("labels", f"must be 2 to {MOST_LABELS:,} names of classes or action units")
    return names


def _files(file: Path, kind: Kind, names: tuple[str, ...], data: Section, split: Section) -> OwnFiles:
    """Where the data are, and what each column holds."""
    table = data.path("table", "")
    columns = data.section("columns").known(_COLUMNS)
    if not table and columns.content:
        raise data.error("columns", "are of a table, and this file names none: add data.table, or leave them out")
    if not table and kind == "multi":
        raise data.error("table", "is missing; action units need one, with a column for each")
    found = dict(_columns(columns, kind, names)) if table else {"path": "path", "given": "given", "split": "split"}
    values = data.pairs("values")
    for text, label in values:
        if label not in names:
            raise data.section("values").error(text, f"must be one of protocol.labels: {', '.join(names)}")
    parts = tuple((text, part) for part in PARTS for text in split.texts(part, ()))
    if len(dict(parts)) < len(parts):
        raise BadInput(f"{file}: [split]: one name is given for two of train, validation and test; give it for one")
    return OwnFiles(
        file=str(file.absolute()),
        table=table,
        pictures=data.path("pictures", "."),
        columns=tuple(found.items()),
        values=values,
        parts=parts,
        ignore=data.texts("ignore", ()),
        unknown=data.texts("unknown", ("", "9", "999")),
        present_from=data.number("present_from", 1.0, 0.0, 100.0) if "present_from" in data.content else None,
    )


def _columns(columns: Section, kind: Kind, names: tuple[str, ...]) -> Pairs:
    """What a column holds -> its name."""
    found = [("path", columns.text("path", "path"))]
    if kind == "single":
        if "given" in columns.content or not {"votes", "annotator"} & set(columns.content):
            found.append(("given", columns.text("given", "given")))
        found += [("reference", columns.text("reference"))] if "reference" in columns.content else []
        found += [("votes", columns.text("votes"))] if "votes" in columns.content else []
    else:
        if wrong := next((key for key in ("votes", "annotator") if key in columns.content), None):
            raise columns.error(wrong, "is for expressions; leave it out")
        found += _unit_columns(columns, "given", names, "")
        found += _unit_columns(columns, "reference", names, None)
    single = ("verified", "subject", "split", "fold", "annotator")
    found += [(key, columns.text(key)) for key in single if key in columns.content]
    if "annotator" in columns.content and "given" not in dict(found):
        raise columns.error("annotator", "needs the column that has each annotator's label: add given")
    if "box" in columns.content:
        box = columns.texts("box")
        if len(box) != len(BOX):
            raise columns.error("box", f"must be the columns of {', '.join(BOX)}, in this order")
        found += zip(BOX, box, strict=True)
    return tuple(found)


def _unit_columns(columns: Section, what: str, names: tuple[str, ...], default: str | None) -> Pairs:
    """The column of each action unit: named one by one, or by what stands before the unit's name."""
    if what not in columns.content and default is None:
        return ()
    if isinstance(columns.content.get(what), dict):
        section = columns.section(what).known(names)
        return tuple((f"{what} {name}", section.text(name)) for name in names if name in section.content)
    before = columns.text(what, default)
    return tuple((f"{what} {name}", f"{before}{name}") for name in names)


def _noise(noise: Section, kind: Kind, own: OwnFiles) -> tuple[str, tuple[float, ...]]:
    """The kind of noise and its levels."""
    chosen = noise.text("kind", "own", NOISE[kind])
    levels = noise.numbers("levels", 0.0, 0.99)
    has_votes = bool(own.column("votes") or own.column("annotator"))
    if chosen == "votes" and not has_votes:
        raise noise.error("kind", "needs votes: name data.columns.votes or data.columns.annotator")
    if chosen in ("own", "votes"):
        if levels:
            raise noise.error("levels", f"the noise '{chosen}' has no level; leave levels out, or choose another kind")
        return (OWN_NOISE if chosen == "own" else chosen), ()
    if not levels:
        raise noise.error("levels", f"the noise '{chosen}' needs levels, as in [0.0, 0.2, 0.4]")
    return chosen, levels


def _options(own: OwnFiles, data: Section, pictures: Section, split: Section, noise: Section) -> Pairs:
    """What is measured and has no field of its own in a protocol."""
    has_column = any(what.split(" ")[0] == "reference" for what, _ in own.columns)
    has_votes = bool(own.column("votes") or own.column("annotator"))
    default = "column" if has_column else "majority" if has_votes else "none"
    reference = data.text("reference", default, ("column", "majority", "none"))
    if reference == "column" and not has_column:
        raise data.error("reference", "no column has it: name data.columns.reference")
    if reference == "majority" and not has_votes:
        raise data.error("reference", "needs votes: name data.columns.votes or data.columns.annotator")
    on = noise.text("on", "given", ("given", "reference"))
    if on == "reference" and reference == "none":
        raise noise.error("on", "there are no reference labels; noise is added to the given ones")
    share = split.number("validation_share", 0.0, 0.0, 0.9)
    if share and "validation" in dict(own.parts).values():
        raise split.error("validation_share", "the split has validation rows: leave one of the two out")
    return (
        ("side", str(pictures.whole("side", 100, 1))),
        ("split", _how_split(split, own)),
        ("split seed", str(split.whole("seed", 0))),
        ("validation share", f"{share:g}"),
        ("subjects in one part", "yes" if split.truth("exclusive", True) else "no"),
        ("reference", reference),
        ("reference rows", data.text("reference_rows", "all", ("all", "test"))),
        ("noise on", on),
        ("copies", pictures.text("copies", "keep", ("keep", "leave out"))),
        ("unreadable", pictures.text("unreadable", "refuse", ("refuse", "leave out"))),
    )


def _how_split(split: Section, own: OwnFiles) -> str:
    """How rows come to training and test: "parts", "fold column", "folds by subject" or "folds by row"."""
    if "folds" not in split.content:
        if missing := [part for part in ("train", "test") if part not in dict(own.parts).values()]:
            what = "names of this part in the column of the split, or give folds = 5"
            raise split.error(missing[0], f"is missing; give a list of the {what}")
        if not own.column("split"):
            raise split.error("train", "no column has the split: name data.columns.split, or give folds = 5")
        return "parts"
    if own.parts:
        raise split.error("folds", "stands beside train, validation or test: leave one of the two out")
    if isinstance(split.content["folds"], list):
        if not own.column("fold"):
            raise split.error("folds", "no column has these: name data.columns.fold, or give a number of folds")
        return "fold column"
    return "folds by subject" if own.column("subject") else "folds by row"


def _folds(split: Section, own: OwnFiles) -> tuple[str, ...]:
    """The names of the folds, none for a fixed split."""
    if "folds" not in split.content:
        return ()
    if isinstance(split.content["folds"], list):
        names = split.texts("folds")
        if not 2 <= len(names) <= MOST_FOLDS or any(not name.strip() or "," in name for name in names):
            raise split.error("folds", f"must be 2 to {MOST_FOLDS} names without a comma")
        return names
    count = split.whole("folds", 0, 2)
    if count > MOST_FOLDS:
        raise split.error("folds", f"must be at most {MOST_FOLDS}")
    return tuple(f"fold{number}" for number in range(1, count + 1))


def _profiles(whole: Section, kind: Kind, side: int, *, verified: bool) -> dict[str, Profile]:
    """The profiles: the file's recipe at each size, with what the file changes."""
    section = whole.section("recipe")
    default = "cocuring" if kind == "single" else "recot" if verified else "recot-pooled"
    recipe = with_changes(RECIPES[section.text("name", default, tuple(RECIPES))], section)
    from ..packs.prepare import LARGEST_SIDE  # loads NumPy, which a list of protocols does not need

    if side > LARGEST_SIDE:
        raise whole.section("pictures").error("side", f"must be at most {LARGEST_SIDE}")
    names = [name for name in PROFILES if name != "transfer" or kind == "single"]
    changes = whole.section("profile").known(names)
    found: dict[str, Profile] = {}
    for name in names:
        mine = changes.section(name).known(("train", "validation", "test", "side", "recipe"))
        size = _size(mine, _SIZES.get(name, Size(side=side)), side)
        at_size = with_changes(_fitted(at_profile(recipe, name, _EPOCHS[kind]), size.side), mine.section("recipe"))
        if at_size.sampler == "fixed" and not verified:
            raise BadInput(
                f"{whole.file}: the recipe of profile {name} has the sampler 'fixed', which needs verified rows: name "
                "data.columns.verified, or set recipe.sampler = 'shuffle'"
            )
        _check_crop(whole, name, at_size, size.side)
        found[name] = Profile(at_size, size)
    return found


def _check_crop(whole: Section, profile: str, recipe: Recipe, side: int) -> None:
    """Raises BadInput where pictures at a profile are smaller than what is cut out of them."""
    how = recipe.augmentation
    shown, most = ("resize", how.resize) if how.resize is not None else ("side", side)
    if how.crop <= most + 2 * how.pad:
        return
    padded = f" with pad = {how.pad} on both sides" if how.pad else ""
    where = f"augmentation.crop = {how.crop} is larger than {shown} = {most}{padded}"
    remedy = f"in [recipe.augmentation] or [profile.{profile}.recipe.augmentation] set resize to at least {how.crop}"
    raise BadInput(f"{whole.file}: profile {profile}: {where}: {remedy}, or a smaller crop")


def _size(section: Section, size: Size, side: int) -> Size:
    """The size with what a file changes; pictures are never larger than they are prepared."""
    chosen = section.whole("side", min(size.side, side), 1)
    if chosen > side:
        raise section.error("side", f"is larger than the prepared pictures, {side} px: set pictures.side")
    return replace(
        size,
        train=_rows(section, "train", size.train),
        validation=_rows(section, "validation", size.validation),
        test=_rows(section, "test", size.test),
        side=chosen,
    )


def _rows(section: Section, key: str, default: int | None) -> int | None:
    """A number of rows, None for "all"."""
    if key not in section.content:
        return default
    if section.content[key] == "all":
        return None
    return section.whole(key, 0, 0 if key == "validation" else 1)


def _fitted(recipe: Recipe, side: int) -> Recipe:
    """The recipe with pictures enlarged first where they are smaller than its crop."""
    if recipe.augmentation.resize is None and side < recipe.augmentation.crop:
        return replace(recipe, augmentation=replace(recipe.augmentation, resize=recipe.augmentation.crop))
    return recipe


def _about(own: OwnFiles, options: Pairs, folds: tuple[str, ...], *, drawn: bool) -> Pairs:
    """What a card says of where the rows come from."""
    option = dict(options)
    judged = {
        "none": "the given labels of the test rows, since there are no reference labels",
        "column": "reference labels of the data",
        "majority": "the class with most votes of a picture; none where two are equal",
    }
    how = {
        "parts": "as the data are split",
        "fold column": "as the data are split: one fold each, training on the others",
        "folds by subject": f"{len(folds)} folds by subject, seed {option['split seed']}: each subject is in one fold",
        "folds by row": f"{len(folds)} folds by row, seed {option['split seed']}: subjects are not known",
    }
    share = option["validation share"]
    given = "validation" in dict(own.parts).values()
    held_out = f"{share} of the training rows, by subject where subjects are known" if share != "0" else "none"
    noise = (
        f"added to the {option['noise on']} labels; rows declared clean get none" if drawn else "comes with the data"
    )
    audit = "" if drawn or option["reference"] != "none" else "; not measurable without reference labels: no audit"
    return (
        ("training", f"{own.table or own.pictures}: {how[option['split']]}"),
        ("validation", "as the data are split" if given else held_out),
        ("test", f"judged by {judged[option['reference']]}"),
        ("folds", how[option["split"]]),
        ("alignment", "by the crop boxes" if own.column("left") else "none: the pictures as they are"),
        ("noise", noise + audit),
    )
