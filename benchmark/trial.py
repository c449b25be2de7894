"""A trial: a cell and a seed, as a value that can be sent to a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..protocols.base import Protocol
from ..protocols.rows import GENERATED, Origin, Source
from ..results.records.store import trial_folder, trial_id
from .registry import MethodSpec, find
from .settings import Settings

RESULT_VERSION = 1  # raised by hand when the harness's own numbers change
ARTIFACTS = "artifacts"


@dataclass(frozen=True)
class Job:
    """What a run asks for, the same for all its trials.

    Attributes:
        protocol: what is measured.
        profile: "paper", "small" or "smoke".
        source: real or generated faces.
        data_root, out: folders.
        settings: the same for every method.
        weights: what the recipe or `--weights` names, to be resolved where the trial runs.
        partial: data that differ from the published set are allowed, and the record says so.
        origin: layout and digest of the faces.
        recipe: "protocol", or "native" for the one of a method's own paper.
        shared: of a native recipe, the job under the protocol's: whoever labels rows labels them for all methods alike.
        aux: digest of the auxiliary labels, or an empty string where there are none.
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
    shared: Job | None = None


@dataclass(frozen=True)
class Trial:
    """One training: a method on a fold at a noise level with a draw and a seed.

    An artifact is a teacher: it is kept apart from the results, and its rows without labels stay without.
    """

    job: Job
    method: MethodSpec
    fold: str | None
    level: float | None
    seed: int
    artifact: bool = False

    @property
    def draw(self) -> int:
        """Trial seed s uses noise draw s."""
        return self.seed

    @property
    def identity(self) -> Mapping[str, Any]:
        """What is hashed into the trial's id."""
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
            "data": {"layout": job.origin.layout, "digest": job.origin.digest},
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
        if "aux" in self.method.needs:
            identity["aux"] = job.aux
        return identity

    @property
    def teachers(self) -> dict[str, Trial]:
        """The teachers it needs, by method name, as the trials that make them."""
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

    @property
    def label(self) -> str:
        """A short name for people."""
        parts = [
            self.method.name,
            self.fold,
            None if self.level is None else f"noise {self.level:g}",
            f"seed {self.seed}",
        ]
        return " · ".join(part for part in parts if part)
