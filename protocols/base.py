"""What a protocol is made of: frozen, versioned, fingerprinted objects.

Changing anything that is measured changes the fingerprint and asks for a new version. Titles and sources are
documentation: they are printed, not hashed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from .errors import BadInput, unknown

Kind = Literal["single", "multi"]
ProfileName = Literal["paper", "small", "smoke"]
PROFILES: tuple[ProfileName, ...] = ("paper", "small", "smoke")
Sources = tuple[tuple[str, str], ...]


def documentation(default: Any) -> Any:
    """A field that is printed but not part of the fingerprint."""
    return field(default=default, metadata={"documentation": True})


def added(default: Any) -> Any:
    """A field younger than a release: at its default it is left out of fingerprints, which so stay what they were."""
    return field(default=default, metadata={"added": True})


@dataclass(frozen=True)
class Augmentation:
    """How an image becomes a training view; every sample has its own draw.

    Attributes:
        resize: side in pixels an image is brought to first (bilinear); None: as stored.
        crop: side of the random training crop, and of the centre crop at test.
        pad: pixels by which the crop may leave the image; edge pixels are repeated.
        flip: probability of a horizontal flip.
        jitter: largest relative change of brightness, contrast, saturation, and largest hue turn (share of a circle).
        jitter_probability: probability of the colour jitter and, by the same coin, of the affine map.
        translate: largest shift of the affine map, share of the side; 0 with scale (1, 1): none.
        scale: range of the affine map's scale.
        grayscale: probability of dropping colour.
        erase: probability of erasing a rectangle.
        erase_area: range of the erased share of the area.
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


@dataclass(frozen=True)
class Recipe:
    """How every method of a protocol is trained.

    Attributes:
        encoder: a timm model name, or "small" for the narrow ResNet of the small profiles.
        weights: "none", "imagenet", or "msceleb" and "vggface2" (files of the user's).
        learning_rate: of the encoders; everything else learns at head_factor times it.
        schedule: "constant", "exponential" (times `decay` at the start of every epoch after the first) or "steps"
            (times `decay` at the start of each epoch of `milestones`, 0-based).
        sampler: "shuffle" (each row once an epoch), "fixed" (verified_per_batch verified rows in every batch; an epoch
            passes over them once, the others cycle) or "oversample" (with replacement, weight 1 / count of the class).
        max_steps: cap on the steps of an epoch, or None.
        milestones: epochs of the schedule "steps".
        neck: what stands between backbone and head: nothing, or RHLS's "attention" encoder and decoder.
        neck_factors: learning rates of the neck's parts, as factors of learning_rate.
        sources: where each value comes from.
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
    """How many rows a profile uses; None: all there are.

    Attributes:
        train: training rows. Of folds by subject: frames of all subjects, of which the test part is a share.
        noisy: further training rows that are not verified.
        validation: validation rows. Of folds by subject: training subjects held out, with as large a share of the noisy
            rows; 0: no validation set.
        test: test rows.
        side: side in pixels of generated faces; larger real ones are brought to it.
        generated: (train, validation, test) rows of a generated twin whose real data are taken whole.
        generated_noisy: as `noisy`, of the generated twin; None: the same number.
        generated_side: side of generated faces where real ones are larger; None: `side`.
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
    """A size a protocol is run at, with its recipe."""

    recipe: Recipe
    size: Size


@dataclass(frozen=True)
class Protocol:
    """What is measured, and how.

    Attributes:
        name, version: a change of anything measured raises the version.
        design: the module of this package that turns data into cells.
        kind: "single" or "multi".
        names: classes or AUs in column order.
        data: data folders it reads.
        metric: "accuracy", or "f1" (mean over AUs of the positive class's F1, 0 where undefined, threshold 0.5).
        noise: how training labels come to be wrong.
        noise_seed: draw s of the noise uses noise_seed + s.
        offers: what methods may need: "verified", "noise_rate", "aux".
        levels: noise levels; empty: the noise has no level.
        folds: names of the test parts; empty: one fixed split.
        parts: the subjects of each part.
        rates: positive rate of each AU that generated faces aim at.
        options: further choices of the design, by name.
        noisy_labels_from: the method whose model, trained on a cell's verified rows, labels its other rows; empty: the
            labels come with the data.
        runs: seeds of a run at the paper profile, where the paper says how often it ran; 0: the harness's own number.
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
    runs: int = documentation(0)
    title: str = documentation("")
    about: Sources = documentation(())

    def profile(self, name: str) -> Profile:
        """The profile of that name; BadInput for another."""
        if name not in PROFILES:
            raise unknown("profile", name, PROFILES)
        chosen: Profile = getattr(self, name)
        return chosen

    def option(self, name: str) -> str:
        """The design's choice of that name, or an empty string."""
        return dict(self.options).get(name, "")

    def fingerprint(self, profile: str) -> str:
        """First 16 hex digits of the SHA-256 of everything measured at a profile; other profiles do not count."""
        content = {name: value for name, value in measured(self).items() if name not in PROFILES}
        content["profile"] = measured(self.profile(profile))
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def choose_folds(self, asked: tuple[str, ...]) -> tuple[str | None, ...]:
        """The folds asked for ("part1" or "1"), all where none is named; (None,) for a fixed split."""
        if not self.folds:
            if asked:
                raise BadInput(f"--fold {','.join(asked)}: {self.name} has one fixed split; leave --fold out")
            return (None,)
        by_number = {str(number): fold for number, fold in enumerate(self.folds, 1)}
        chosen = tuple(by_number.get(fold, fold) for fold in asked)
        for fold in chosen:
            if fold not in self.folds:
                raise BadInput(f"--fold {fold}: {self.name} has the folds {', '.join(self.folds)}")
        return tuple(dict.fromkeys(chosen)) or self.folds

    def choose_levels(self, asked: tuple[float, ...]) -> tuple[float | None, ...]:
        """The noise levels asked for, all where none is named; (None,) where the noise has no level."""
        for level in asked:
            if not 0 <= level < 1:
                raise BadInput(f"--noise {level:g}: a noise level lies in [0, 1)")
        if not self.levels:
            if asked:
                raise BadInput(f"--noise: the noise of {self.name} has no level ({self.noise}); leave --noise out")
            return (None,)
        for level in asked:
            if level not in self.levels:
                raise BadInput(f"--noise {level:g}: {self.name} has the levels {', '.join(map(str, self.levels))}")
        return tuple(dict.fromkeys(asked)) or self.levels


def measured(value: Any) -> Any:
    """A value as plain JSON data, documentation fields left out, sets sorted."""
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
