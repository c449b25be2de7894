"""Frozen, versioned dataclasses that define a protocol, and its fingerprint.

Every field that affects results is part of the fingerprint, so changing one requires a new version. Titles and sources
are documentation: they are printed, not hashed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from .errors import BadInput, unknown
from .own_files import OwnFiles

Kind = Literal["single", "multi"]
ProfileName = Literal["paper", "transfer", "small", "smoke"]
PROFILES: tuple[ProfileName, ...] = ("paper", "transfer", "small", "smoke")
Sources = tuple[tuple[str, str], ...]


def documentation(default: Any) -> Any:
    """A dataclass field that is printed but not part of the fingerprint."""
    return field(default=default, metadata={"documentation": True})


def added(default: Any) -> Any:
    """A dataclass field added after a release: left out of the fingerprint at its default, so old ones stay valid."""
    return field(default=default, metadata={"added": True})


@dataclass(frozen=True)
class StrongAugmentation:
    """What a strong view has beyond an ordinary one: some operations drawn from a list, then one square cut out.

    Attributes:
        slots: operations applied one after the other, each drawn uniformly from `ranges`, with replacement.
        probability: of each to be carried out.
        magnitude: "fixed" at the upper end of an operation's range and of `cutout`, or "uniform" in them.
        ranges: the operations with the range of their magnitude: degrees of `rotate`, shares of the side of `shear` and
            `translate`, the level 0-256 from which `solarize` inverts, the factor of `colour`, `contrast`, `brightness`
            and `sharpness`, and the bits that `posterize` keeps (rounded down).
        sign: whether a coin gives the direction of rotations, shears and translations.
        fill: the level 0-255 of what geometry uncovers.
        cutout: range of the side of the square, as a share of the image's.
        cutout_fill: its colour, levels 0-255.
        whole_view: whether all of the ordinary augmentation comes first, or its crop and flip alone.
        source: where the values come from.
    """

    slots: int
    probability: float
    magnitude: Literal["fixed", "uniform"]
    ranges: tuple[tuple[str, tuple[float, float]], ...]
    sign: bool
    fill: float
    cutout: tuple[float, float]
    cutout_fill: tuple[float, float, float]
    whole_view: bool
    source: str = documentation("")


@dataclass(frozen=True)
class Augmentation:
    """Data augmentation of training images, drawn independently for each sample.

    Attributes:
        resize: side in pixels to which an image is resized first (bilinear); None: as stored.
        crop: side of the random training crop, and of the centre crop at test time.
        pad: pixels by which the crop may extend beyond the image; edge pixels are repeated.
        flip: probability of a horizontal flip.
        jitter: largest relative change of brightness, contrast and saturation, and largest hue shift (share of a turn).
        jitter_probability: probability of colour jitter together with the affine transform.
        translate: largest shift of the affine transform, as a share of the side; 0 with scale (1, 1): none.
        scale: range of the affine transform's scale.
        grayscale: probability of conversion to grey.
        erase: probability of erasing a rectangle.
        erase_area: range of the erased area, as a share of the image.
        strong: of the views that a method asks for as "strong"; None: the usual one of the protocol's kind.
    """

    crop: int
    resize: int | None = None
    pad: int = 0
    flip: float = 0.5
    jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    jitter_probability: float = 1.0
    translate: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    grayscale: float = 0.0
    erase: float = 0.0
    erase_area: tuple[float, float] = (0.02, 0.25)
    strong: StrongAugmentation | None = added(None)


@dataclass(frozen=True)
class Recipe:
    """The training recipe shared by all methods of a protocol.

    Attributes:
        encoder: a timm model name, "small" for the narrow ResNet of the small profiles, or "dlib29".
        weights: "none", "imagenet", "dlib" (of a package), or "msceleb" and "vggface2" (files supplied by the user).
        learning_rate: of the encoders; all other parameters are trained with head_factor times this rate.
        schedule: "constant", "exponential" (times `decay` at the start of every epoch after the first) or "steps"
            (times `decay` at the start of each epoch of `milestones`, 0-based).
        sampler: "shuffle" (each row once an epoch), "fixed" (verified_per_batch verified rows in every batch; an epoch
            is one pass over them, the others cycle) or "oversample" (with replacement, weight 1 / count of the class).
        max_steps: largest number of steps in an epoch, or None.
        milestones: epochs of the schedule "steps".
        neck: the module between backbone and head: none, or RHLS's "attention" encoder and decoder.
        neck_factors: learning rates of the neck's parts, as factors of learning_rate.
        sources: the source of each value.
    """

    encoder: str
    weights: str
    epochs: int
    batch_size: int
    augmentation: Augmentation
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = 1e-3
    head_factor: float = 1.0
    weight_decay: float = 0.0
    momentum: float = 0.9
    schedule: Literal["constant", "exponential", "steps"] = "constant"
    decay: float = 1.0
    sampler: Literal["shuffle", "fixed", "oversample"] = "shuffle"
    verified_per_batch: int = 0
    max_steps: int | None = None
    milestones: tuple[int, ...] = added(())
    neck: Literal["", "attention"] = added("")
    neck_factors: tuple[tuple[str, float], ...] = added(())
    sources: Sources = documentation(())


@dataclass(frozen=True)
class Size:
    """The number of rows a profile uses, and the image size; None: all available rows.

    Attributes:
        train: training rows. With folds by subject: frames of all subjects, the test subjects included.
        noisy: additional training rows that are not verified (the noisy set).
        validation: validation rows. With folds by subject: number of training subjects held out, with the same share of
            the noisy rows; 0: no validation set.
        test: test rows.
        side: image size in pixels of generated faces; larger real images are resized to it.
        generated: (train, validation, test) rows of the generated twin, where the real data are used in full.
        generated_noisy: as `noisy`, for the generated twin; None: the same number.
        generated_side: image size of generated faces where real images are larger; None: `side`.
    """

    train: int | None = None
    noisy: int | None = None
    validation: int | None = None
    test: int | None = None
    side: int = 48
    generated: tuple[int, int, int] = (0, 0, 0)
    generated_noisy: int | None = added(None)
    generated_side: int | None = added(None)


@dataclass(frozen=True)
class Profile:
    """The size at which a protocol is run, with its recipe."""

    recipe: Recipe
    size: Size


@dataclass(frozen=True)
class Protocol:
    """The definition of an evaluation: data, splits, noise, recipe and metric.

    Attributes:
        name, version: the version is raised whenever a fingerprinted field changes.
        design: the module of `designs` that builds the cells from the data.
        kind: "single" or "multi".
        names: classes or AUs in column order.
        data: data folders it reads.
        metric: "accuracy", or "f1" (mean over AUs of the positive class's F1, 0 where undefined, threshold 0.5).
        noise: the type of noise in the training labels.
        noise_seed: draw s of the noise uses the seed noise_seed + s.
        offers: what the protocol provides to methods that need it: "verified", "noise_rate", "aux"; what else its
            labels offer, see offers.py.
        levels: noise levels; empty: the noise has no level.
        folds: names of the test parts; empty: one fixed split.
        parts: the subjects of each part.
        rates: target rate of positives of each AU for generated faces.
        options: further settings of the design, by name.
        noisy_labels_from: the method whose model, trained on a cell's verified rows, labels its other rows; empty: the
            labels come with the data.
        paper, small, smoke, transfer: the profiles; only protocols for expressions have the last.
        runs: number of seeds at the paper profile, where the paper states it; 0: the harness's default.
        own: where the pictures and labels of a user's own protocol are; None for published data.
    """

    name: str
    version: int
    design: str
    kind: Kind
    names: tuple[str, ...]
    data: tuple[str, ...]
    metric: Literal["accuracy", "f1"]
    noise: str
    paper: Profile
    small: Profile
    smoke: Profile
    offers: frozenset[str] = frozenset()
    noise_seed: int = 0
    levels: tuple[float, ...] = ()
    folds: tuple[str, ...] = ()
    parts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    rates: tuple[float, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    noisy_labels_from: str = added("")
    transfer: Profile | None = None
    runs: int = documentation(0)
    title: str = documentation("")
    about: Sources = documentation(())
    own: OwnFiles | None = documentation(None)

    def profile(self, name: str) -> Profile:
        """The profile of the given name; BadInput for one that this protocol does not have."""
        if name not in PROFILES:
            raise unknown("profile", name, PROFILES)
        chosen: Profile | None = getattr(self, name)
        if chosen is None:
            raise BadInput(f"--profile {name}: {self.name} has the profiles {', '.join(self.profiles)}")
        return chosen

    @property
    def profiles(self) -> tuple[ProfileName, ...]:
        """The names of the profiles that it has."""
        return tuple(name for name in PROFILES if getattr(self, name) is not None)

    def option(self, name: str) -> str:
        """The design's setting of the given name, or an empty string."""
        return dict(self.options).get(name, "")

    def fingerprint(self, profile: str) -> str:
        """First 16 hex digits of the SHA-256 of all fingerprinted fields, with this profile and not the others."""
        content = {name: value for name, value in measured(self).items() if name not in PROFILES}
        content["profile"] = measured(self.profile(profile))
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def choose_folds(self, requested: tuple[str, ...]) -> tuple[str | None, ...]:
        """The requested folds ("part1" or "1"), or all if none is requested; (None,) for a fixed split.

        Raises:
            BadInput: an unknown fold, or any for a fixed split.
        """
        if not self.folds:
            if requested:
                raise BadInput(f"--fold {','.join(requested)}: {self.name} has one fixed split; leave --fold out")
            return (None,)
        by_number = {str(number): fold for number, fold in enumerate(self.folds, 1)}
        chosen = tuple(by_number.get(fold, fold) for fold in requested)
        for fold in chosen:
            if fold not in self.folds:
                raise BadInput(f"--fold {fold}: {self.name} has the folds {', '.join(self.folds)}")
        return tuple(dict.fromkeys(chosen)) or self.folds

    def choose_levels(self, requested: tuple[float, ...]) -> tuple[float | None, ...]:
        """The requested noise levels, or all if none is requested; (None,) where the noise has no level.

        Raises:
            BadInput: an unknown level, or any where the noise has none.
        """
        for level in requested:
            if not 0 <= level < 1:
                meant = f"; did you mean {level / 100:g}?" if level / 100 in self.levels else ""
                raise BadInput(f"--noise {level:g}: a noise level lies in [0, 1){meant}")
        if not self.levels:
            if requested:
                raise BadInput(f"--noise: the noise of {self.name} has no level ({self.noise}); leave --noise out")
            return (None,)
        for level in requested:
            if level not in self.levels:
                raise BadInput(f"--noise {level:g}: {self.name} has the levels {', '.join(map(str, self.levels))}")
        return tuple(dict.fromkeys(requested)) or self.levels


def measured(value: Any) -> Any:
    """The fingerprinted content of a value as JSON data: without documentation fields, sets sorted."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: measured(getattr(value, f.name))
            for f in fields(value)
            if not (
                f.metadata.get("documentation") or (f.metadata.get("added") and getattr(value, f.name) == f.default)
            )
        }
    if isinstance(value, tuple):
        return [measured(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return value
