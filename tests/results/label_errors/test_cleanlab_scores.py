"""The scores of the package cleanlab equal ours, which were written from its paper; both leave out what is unknown."""

from __future__ import annotations

import math
from importlib import metadata, util

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results import label_errors as le
from fernoise_bench.results.label_errors import cleanlab_scores
from fernoise_bench.results.label_errors.cleanlab_scores import (
    METHODS,
    cleanlab_error_rate,
    cleanlab_suspicions,
    cleanlab_version,
)

OURS = dict(zip(METHODS, (le.self_confidence, le.normalized_margin, le.confidence_weighted_entropy), strict=True))
ROWS, CLASSES = 200, 5

needs_cleanlab = pytest.mark.skipif(
    util.find_spec("cleanlab") is None, reason="cleanlab is not installed: pip install '.[cleanlab]'"
)


def case(kind):
    """Probabilities and labels, some of each unknown."""
    generator = np.random.default_rng(0)
    if kind == "single":
        p, labels = generator.dirichlet(np.ones(CLASSES), ROWS), generator.integers(-1, CLASSES, ROWS)
    else:
        p, labels = generator.random((ROWS, CLASSES)), generator.integers(-1, 2, (ROWS, CLASSES))
        labels[:, 0] = 0
    p[::7] = math.nan
    return p, labels


@needs_cleanlab
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_its_qualities_are_ours(kind):
    p, labels = case(kind)
    found = cleanlab_suspicions(p, labels)
    assert list(found) == list(METHODS)
    for name, values in found.items():
        np.testing.assert_allclose(values, 1 - OURS[name](p, labels), rtol=0, atol=1e-5, err_msg=name)
    assert np.isnan(found["self_confidence"][0]).all()


@needs_cleanlab
def test_its_count_is_of_its_own_filter_and_needs_two_classes():
    from cleanlab.filter import find_label_issues

    p, labels = case("single")
    rows = (labels >= 0) & ~np.isnan(p[:, 0])
    assert cleanlab_error_rate(p, labels) == find_label_issues(labels[rows], p[rows], n_jobs=1).mean()
    assert math.isnan(cleanlab_error_rate(p, np.zeros(ROWS, int)))
    assert math.isnan(cleanlab_error_rate(p, np.full(ROWS, -1)))
    of_aus = cleanlab_error_rate(*case("multi"))
    assert np.isnan(of_aus).tolist() == [True, *[False] * (CLASSES - 1)]


@needs_cleanlab
def test_its_version_is_that_installed():
    assert cleanlab_version() == metadata.version("cleanlab")


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setattr(cleanlab_scores.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"not installed: pip install 'fernoise-bench\[cleanlab\]'"):
        cleanlab_version()
