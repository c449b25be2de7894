"""A trial (a cell with a seed) as a value that can be sent to a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..protocols.base import Protocol
from ..protocols.rows import GENERATED, Origin, Source
from ..results.records.store import trial_folder, trial_id
from .registry import MethodSpec, find
from .settings import Settings, Which

RESULT_VERSION = 1  # raised by hand when the harness's own numbers change
ARTIFACTS = "artifacts"


@dataclass(frozen=True)
class Job:
    """What all trials of a run share.

    Attributes:
        protocol: what is measured.
        profile: "paper", "small" or "smoke".
        source: "real" or "generated" faces.
        data_root, out: folders of the data sets and of the results.
        settings: the same for every method.
        weights: what the recipe or `--weights` names; resolved where the trial runs.
        partial: data that differ from the published set are accepted, and the record says so.
        origin: layout and digest of the faces.
        recipe: "protocol", or "native" for that of a method's own paper.
        keep_weights: which weights each trial keeps; None for none. No part of a trial's identity, since it changes no
            number.
        noise_salt: what keys the drawn noise besides the seed; "" for the noise that anyone can draw from the seed.
        shared: with a native recipe, the job with the protocol's, by which a teacher that labels rows is trained: all
            methods get the same labels.
        aux: digest of the auxiliary labels, "" without any.
        annotators: digest of the labels of single annotators, "" without any.
    """

    protocol: Protocol
    profile: str
    source: Source
    data_root: Path
    out: Path
    settings: Settings
    weights: str
    partial: bool
    origin: Origin = GENERATED
    recipe: str = "protocol"
    aux: str = ""
    annotators: str = ""
    shared: Job | None = None
    noise_salt: str = ""
    keep_weights: Which | None = None


@dataclass(frozen=True)
class Trial:
    """The training of one method on a fold, at a noise level, with a seed.

    A teacher is a trial with `artifact`: it is stored apart from the results, and rows without labels stay unlabelled.
    """

    job: Job
    method: MethodSpec
    fold: str | None
    level: float | None
    seed: int
    artifact: bool = False

    @property
    def draw(self) -> int:
        """Number of the noise draw: that of the seed."""
        return self.seed

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that the trial's id is a hash of."""
        job = self.job
        identity: dict[str, Any] = {
            "result_version": RESULT_VERSION,
            "protocol": {
                "name": job.protocol.name,
                "version": job.protocol.version,
                "fingerprint": job.protocol.fingerprint(job.profile),
            },
            "profile": job.profile,
            "source": job.source,
            "partial": job.partial,
            "data": job.origin.content,
            "recipe": job.recipe,
            "settings": job.settings.as_json(),
            "method": {
                "name": self.method.name,
                "params": self.method.params_as_json(),
                "digest": self.method.digest,
            },
            "fold": self.fold,
            "level": self.level,
            "draw": self.draw,
            "seed": self.seed,
        }
        if self.artifact:
            identity["artifact"] = "teacher"
        elif teachers := self.teachers:
            identity["teachers"] = {name: teacher.id for name, teacher in teachers.items()}
        if job.noise_salt:
            identity["noise_salt"] = job.noise_salt
        if "aux" in self.method.needs:
            identity["aux"] = job.aux
        if "annotators" in self.method.needs:
            identity["annotators"] = job.annotators
        return identity

    @property
    def teachers(self) -> dict[str, Trial]:
        """The trials of the teachers that it needs, by method name."""
        if self.artifact:
            return {}
        jobs = {self.method.teacher: self.job, self.job.protocol.noisy_labels_from: self.job.shared or self.job}
        found = {name: (find(name), job) for name, job in jobs.items() if name}
        return {name: replace(self, job=job, method=spec, artifact=True) for name, (spec, job) in found.items()}

    @property
    def id(self) -> str:
        """First 16 hex digits of the identity's hash."""
        return trial_id(self.identity)

    @property
    def folder(self) -> Path:
        """Where the trial's files are."""
        return self.job.out / ARTIFACTS / self.id if self.artifact else trial_folder(self.job.out, self.identity)

    def with_absolute_paths(self) -> Trial:
        """The same trial, which can be run from any folder."""
        job = self.job
        weights = str(Path(job.weights).absolute()) if Path(job.weights).is_file() else job.weights
        absolute = replace(job, out=job.out.absolute(), data_root=job.data_root.absolute(), weights=weights)
        return replace(self, job=absolute)

    @property
    def label(self) -> str:
        """A short name, as in "cocuring · noise 0.2 · seed 1"."""
        parts = [
            self.method.name,
            self.fold,
            None if self.level is None else f"noise {self.level:g}",
            f"seed {self.seed}",
        ]
        return " · ".join(part for part in parts if part)
