"""The content of a trial's files: identity, environment, status and epochs; `trial_files` reads and writes them.

Further fields are allowed and not checked. A missing field that may be None is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from ...protocols.base import Kind, ProfileName
from ...protocols.rows import Source
from .store import trial_id

# Sums and means of thousands of counts and amounts stay exact, or finite.
Count = Annotated[int, Meta(ge=0, lt=2**53)]
Positive = Annotated[int, Meta(gt=0, lt=2**53)]
Amount = Annotated[float, Meta(ge=0, lt=2**53)]
Share = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(pattern=r"\S", max_length=1_000)]
Reason = Annotated[str, Meta(max_length=10_000)]
Counts = tuple[tuple[Count, ...], ...]
RecipeName = Literal["protocol", "native"]
State = Literal["running", "done", "failed", "diverged", "interrupted"]

T = TypeVar("T")

_WITHIN_KEY = ("method", "fold", "level", "draw", "seed", "teachers", "aux", "annotators")

# --- identity.json


class Augmentation(Struct, frozen=True):
    """The part of a recipe's augmentation that tables show: the side of the pictures in pixels."""

    crop: Positive | None = None


class Recipe(Struct, frozen=True):
    """The part of a recipe that tables show."""

    epochs: Positive | None = None
    encoder: Name = "unknown"
    augmentation: Augmentation = Augmentation()


class Settings(Struct, frozen=True):
    """The part of the settings shared by all methods that tables show."""

    recipe: Recipe = Recipe()
    precision: str = "fp32"
    weights: str = ""
    compiled: bool = False


class ProtocolIdentity(Struct, frozen=True):
    """The protocol, its version, and the fingerprint of its definition at the profile."""

    name: Name
    version: Count
    fingerprint: str

    @property
    def key(self) -> str:
        """Such as "ferplus-sym@1"."""
        return f"{self.name}@{self.version}"


class MethodIdentity(Struct, frozen=True):
    """The method with its variant, its hyper-parameters and the digest of its source."""

    name: Name
    params: dict[str, Any]
    digest: str


class DataIdentity(Struct, frozen=True):
    """Layout and digest of the faces; "given" where the test labels are the given ones, for want of others."""

    layout: str
    digest: str
    judged_by: str = ""


class Setting(NamedTuple):
    """How a protocol was run: what must be equal to compare trials of several protocols."""

    profile: ProfileName
    source: Source
    partial: bool
    recipe: RecipeName
    noise_salt: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """Such as ("small profile", "real faces"), and what differs from the default."""
        partial = ("partial copy of the data",) * self.partial
        recipe = () if self.recipe == "protocol" else (f"{self.recipe} recipe",)
        salt = (f"noise salt {self.noise_salt}",) if self.noise_salt else ()
        return f"{self.profile} profile", f"{self.source} faces", *partial, *recipe, *salt


PAPERS_SETTING = Setting("paper", "real", partial=False, recipe="protocol")
"""That of the papers whose protocol it is."""


class Identity(Struct, frozen=True):
    """What identifies a trial.

    Attributes:
        content: all of identity.json, which is hashed into the trial's id.
        key, version: IDs of its comparability key, of the method's source and parameters.
    """

    result_version: Count
    protocol: ProtocolIdentity
    profile: ProfileName
    source: Source
    partial: bool
    recipe: RecipeName
    settings: Settings
    method: MethodIdentity
    fold: Name | None
    level: Share | None
    draw: Count
    seed: Count
    data: DataIdentity = DataIdentity("", "")
    teachers: dict[str, str] = {}
    aux: str = ""
    annotators: str = ""
    noise_salt: str = ""
    content: dict[str, Any] = msgspec.field(default_factory=dict, name="(content)")
    key: str = msgspec.field(default="", name="(key)")
    version: str = msgspec.field(default="", name="(version)")

    @property
    def setting(self) -> Setting:
        """How the protocol was run."""
        return Setting(self.profile, self.source, self.partial, self.recipe, self.noise_salt)


def identity_of(content: Mapping[str, Any]) -> Identity:
    """The identity in the content of identity.json; ValueError naming a field that is invalid."""
    found = msgspec.convert(content, Identity)
    key = trial_id(comparability_key(content))
    return replace(found, content=content, key=key, version=trial_id(content["method"]))


def comparability_key(content: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal for two trials to share a table: an identity's content without the fields below.

    Left out are method, fold, level, draw and seed, and the teachers and further labels that follow from them.
    """
    return {name: value for name, value in content.items() if name not in _WITHIN_KEY}


# --- environment.json


class Task(Struct, frozen=True):
    """One label per face or AUs, their names, and the protocol's metric."""

    kind: Kind
    names: Annotated[tuple[Name, ...], Meta(min_length=1)]
    metric: Name


class Noise(Struct, frozen=True):
    """The noise of the training labels: the nominal and the realised rate, the hash of the changed labels."""

    kind: str = ""
    mask: str = ""
    nominal: Share | None = None
    realised: Share | None = None


class TeacherCost(Struct, frozen=True):
    """Time and passes it took to train a teacher, and the ID of its source and parameters ("" in older records)."""

    name: Name
    id: Name
    seconds: Amount
    forwards: Count = 0
    backwards: Count = 0
    version: str = ""


class Rows(Struct, frozen=True):
    """Numbers of rows."""

    train: Positive
    validation: Count = 0
    test: Count = 0
    test_copies: Count = 0


class Environment(Struct, frozen=True):
    """Where and on what a trial ran. Recorded, not hashed."""

    task: Task
    device: Name
    engine: Name
    workers: Count
    oracle_knowledge: tuple[Name, ...]
    unstated: tuple[Name, ...]
    networks: Count
    rows: Rows
    rows_per_epoch: Positive
    torch: str = ""
    timm: str = ""
    numpy: str = ""
    python: str = ""
    machine: str = ""
    resumed: bool = False
    noise: Noise | None = None
    teachers: tuple[TeacherCost, ...] = ()
    views: Count = 1

    @property
    def known(self) -> bool:
        """Whether the trial has written it."""
        return bool(self.task.names)


NOT_WRITTEN = Environment(Task("single", (), "score"), "", "", 0, (), (), 0, Rows(0), 0)

# --- status.json


class Best(Struct, frozen=True):
    """The epochs (0-based) best on validation and on test."""

    validation: Count | None
    oracle: Count | None


class Status(Struct, frozen=True):
    """The state of a trial. A finished one has its epochs, seconds and best epochs.

    `seconds` are of the processor on a CPU, `wall_seconds` by the clock on the wall; earlier versions wrote no latter.
    """

    state: State
    reason: Reason | None = None
    epochs_done: Count = 0
    epochs: Count = 0
    seconds: Amount | None = None
    best: Best = Best(None, None)
    peak_memory_mb: Amount | None = None
    updated: str = ""
    wall_seconds: Amount | None = None

    def __post_init__(self) -> None:
        needed = {"epochs": self.epochs or None, "seconds": self.seconds, "best.oracle": self.best.oracle}
        if self.state == "done" and (lacking := [name for name, value in needed.items() if value is None]):
            raise ValueError(f"is done and lacks {lacking[0]}")


class TeacherStatus(Struct, frozen=True):
    """The status of a teacher, which is kept apart from the trials, with a checksum of its probabilities and cost."""

    state: Literal["done"]
    seconds: Amount
    forwards: Count
    backwards: Count
    checksum: str = ""


# --- epochs.jsonl

# Pairs of audit counts: the first is never there without the second.
_TOGETHER = (
    ("entries", "wrong"), ("kept", "kept_right"), ("targets", "targets_right"), ("targets", "changed"),
    ("targets_right", "damaged"), ("changed", "changed_right"),
)  # fmt: skip


class Audit(Struct, Generic[T], frozen=True, gc=False):
    """What a method did with wrong labels in an epoch; None where its steps did not report it.

    Attributes:
        entries: label entries seen that have a reference; wrong: of those, given label differs from the reference.
        predicted, predicted_wrong: entries of steps that reported predictions; of those, wrong ones.
        memorised, recovered: wrong entries predicted as given, as the reference.
        judged, right: entry-network pairs of steps that reported weights; of those, given right.
        kept, kept_right: of those judged, trained on with the given label; of those kept, given right.
        targets, targets_right: entry-network pairs of steps that reported targets; of those, given right.
        changed, changed_right: those whose target is another label than the given one; of those, to the reference.
        damaged: of those changed, given right before.
    """

    entries: T | None = None
    wrong: T | None = None
    predicted: T | None = None
    predicted_wrong: T | None = None
    memorised: T | None = None
    recovered: T | None = None
    judged: T | None = None
    right: T | None = None
    kept: T | None = None
    kept_right: T | None = None
    targets: T | None = None
    targets_right: T | None = None
    changed: T | None = None
    changed_right: T | None = None
    damaged: T | None = None

    def __post_init__(self) -> None:
        for name, other in _TOGETHER:
            if getattr(self, name) is not None and getattr(self, other) is None:
                raise ValueError(f"has {name} and lacks {other}")


class Tested(Struct, frozen=True, gc=False):
    """Confusion counts of an epoch: [C, C] of one label a face, [L, 4] of AUs."""

    confusion: Counts
    confusion_without_copies: Counts | None = None


class Compute(Struct, frozen=True, gc=False):
    """Passes of single images through encoders."""

    forwards: Count
    backwards: Count


class FlipRates(Struct, frozen=True, gc=False):
    """Of each AU, the shares of entries that are given wrong, as a method estimated them, and the true ones.

    Attributes:
        positive, negative: estimated, of present entries given as absent, of absent ones given as present; None: no
            estimate.
        true_positive, true_negative: in the training rows not declared clean; None without such an entry.
    """

    positive: tuple[Share | None, ...]
    negative: tuple[Share | None, ...]
    true_positive: tuple[Share | None, ...]
    true_negative: tuple[Share | None, ...]


class Fit(Struct, frozen=True, gc=False):
    """How well test probabilities fit the reference labels, or the shares of annotators' votes; see `metrics`.

    Attributes:
        nll: negative log-likelihood.
        brier: mean squared distance.
        ece: expected calibration error, in 15 bins.
        kl: divergence from the shares of votes; None for labels, of which it is the negative log-likelihood.
    """

    nll: Amount
    brier: Amount
    ece: Amount
    kl: float | None = None


class EpochLine(Struct, frozen=True, gc=False):
    """A line of epochs.jsonl.

    Attributes:
        transition_error: of a method's estimate of the label noise; not written by others, nor in older records.
        flip_rates: of a method that estimates them for AUs, in the last line.
        fit: of one label a face; older records have none.
        fit_to_votes: where the test rows have votes.
    """

    epoch: Count
    test: Tested
    compute: Compute
    loss: float | None = None
    learning_rate: float | None = None
    logs: dict[str, float | None] = {}
    audit: Audit[Count] | None = None
    audit_by_class: Audit[tuple[Count, ...]] | None = None
    validation: Tested | None = None
    seconds: Amount = 0.0
    transition_error: Amount | UnsetType | None = UNSET
    flip_rates: FlipRates | UnsetType | None = UNSET
    fit: Fit | UnsetType = UNSET
    fit_to_votes: Fit | UnsetType = UNSET
