"""Keeps the weights of a trial: those of its last epoch, or of the best on its validation rows."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from ...methods.base import Method
from ...protocols.base import Augmentation
from ...protocols.images.image_pool import Images
from ...results.records.record import headline_of
from ..networks.encoders import CountedEncoder
from ..networks.kept_weights import (
    Card,
    Network,
    Pictures,
    Scores,
    TaskSize,
    predict_checked,
    write_weights,
)
from ..settings import Which, weights_file
from ..trial import Trial
from .state import Training

_SAMPLE = 256  # test pictures that are looked at for colour


def keep_if_asked(trial: Trial, training: Training, line: Mapping[str, Any]) -> None:
    """Writes the weights of an epoch that has just been evaluated, where they are asked for and are those to keep.

    They are written before the checkpoint of the epoch, so that an interrupted trial that goes on has them.
    """
    which, recipe = trial.job.keep_weights, trial.job.settings.recipe
    if not which or trial.artifact:
        return
    best = line["epoch"] == training.evaluator.best.validation_epoch
    if best if which == "best-validation" else line["epoch"] == recipe.epochs - 1:
        with _evaluation_mode(training.method):
            write_weights(trial.folder / weights_file(which), training.method, _card(trial, training, line, which))


@contextlib.contextmanager
def _evaluation_mode(method: Method) -> Iterator[None]:
    was_training = method.training
    method.eval()
    yield
    method.train(was_training)


def _card(trial: Trial, training: Training, line: Mapping[str, Any], which: Which) -> Card:
    job, method = trial.job, training.method
    how = job.settings.recipe.augmentation
    checked = predict_checked(method, how.crop, training.train_set.device)
    return Card(
        trial=trial.id,
        which=which,
        protocol=f"{job.protocol.name}@{job.protocol.version}",
        profile=job.profile,
        source=job.source,
        method=trial.method.name,
        digest=trial.method.digest,
        kind=job.protocol.kind,
        names=job.protocol.names,
        network=_network(trial, method),
        pictures=_pictures(training.evaluator.data.test.images, how),
        task=_task(training),
        scores=_scores(trial, line),
        checked=tuple(map(tuple, checked)),
        versions={"fernoise-bench": version("fernoise-bench"), "torch": str(torch.__version__)},
    )


def _network(trial: Trial, method: Method) -> Network:
    encoders = [module for module in method.modules() if isinstance(module, CountedEncoder)]  # a user's may have none
    values = (encoders[0].mean, encoders[0].std) if encoders else ()
    mean, std = (tuple(value.flatten().tolist()) for value in values) if values else ((), ())
    recipe = trial.job.settings.recipe
    return Network(recipe.encoder, recipe.neck, trial.job.settings.weights, mean, std)


def _pictures(images: Images, how: Augmentation) -> Pictures:
    stored = images.pools[int(images.pool[0])].read(images.row[:1])
    sample = images.read(np.arange(min(_SAMPLE, len(images))))
    grey = bool((sample == sample[..., :1]).all())  # also where grey pictures are stored in colour
    return Pictures(stored.shape[1], sample.shape[1], 1 if grey else 3, how.resize, how.crop)


def _task(training: Training) -> TaskSize:
    task = training.task
    shares = (None if math.isnan(share) else share for share in task.frequency.tolist())
    return TaskSize(task.train_size, task.epochs, task.steps_per_epoch, tuple(shares), task.aux_names)


def _scores(trial: Trial, line: Mapping[str, Any]) -> Scores:
    def score(counts: Mapping[str, Any] | None) -> float | None:
        found = None if counts is None else headline_of(trial.job.protocol.kind, counts["confusion"])
        return None if found is None or math.isnan(found) else found

    return Scores(trial.job.protocol.metric, line["epoch"] + 1, score(line["test"]), score(line["validation"]))
