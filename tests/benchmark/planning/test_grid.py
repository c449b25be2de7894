"""Which trials are asked for: noise keyed by a salt, methods of files, and the recipes of methods' own papers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fernoise_bench.benchmark.planning.grid import Grid, RunRequest, make_grid
from fernoise_bench.benchmark.training.runner import WorkerContext
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.loading import open_data
from fernoise_bench.protocols.noise import symmetric
from fernoise_bench.results.records.schema import comparability_key

ASKED = RunRequest("ferplus-sym", ("supervised",), levels=(0.4,), seeds=2, profile="smoke", synthetic=True)


def grid(salt: str = "", **changes: Any) -> Grid:
    return make_grid(replace(ASKED, noise_salt=salt, **changes))


def test_without_a_salt_trials_are_what_they_were() -> None:
    assert all("noise_salt" not in trial.identity for trial in grid().trials)


def test_a_salt_is_in_the_identity_and_sets_trials_apart() -> None:
    plain, first, second = ([trial.id for trial in grid(salt).trials] for salt in ("", "one", "other"))
    assert len({*plain, *first, *second}) == 6
    keys = [comparability_key(grid(salt).trials[0].identity) for salt in ("", "one", "other")]
    assert [key.get("noise_salt") for key in keys] == [None, "one", "other"]
    assert grid("one").trials[0].identity == grid("one").trials[0].identity
    taught = make_grid(RunRequest("bp4d-3fold", ("distillation",), seeds=1, profile="smoke", synthetic=True))
    teachers = taught.trials[0].teachers
    assert all("noise_salt" not in teacher.identity for teacher in teachers.values())


def test_who_knows_the_salt_draws_the_noise_again_and_who_knows_the_seed_alone_does_not() -> None:
    """Drawn again from every public seed, the wrong labels of an unsalted trial are found, of a salted one none."""
    context = WorkerContext()
    cells = [context.cell(grid(salt).trials[1]).train for salt in ("", "one", "one", "other")]
    plain, salted, again, other = (cell.given for cell in cells)
    assert np.array_equal(salted, again)
    assert not np.array_equal(salted, other)
    reference = cells[0].reference
    assert np.array_equal(reference, cells[1].reference)
    assert (plain != reference).mean() == pytest.approx((salted != reference).mean(), abs=0.02)
    alike = dict.fromkeys(("plain", "salted"), 0.0)
    for seed in range(100):
        drawn = symmetric(reference, 0.4, 8, seed)
        wrong = drawn != reference
        for name, given in (("plain", plain), ("salted", salted)):
            alike[name] = max(alike[name], float((given[wrong] == drawn[wrong]).mean()))
    assert alike["plain"] == 1
    assert alike["salted"] < 0.4


def test_validation_has_noise_of_the_salt_too_and_test_rows_have_none(tmp_path: Path) -> None:
    data = open_data(grid().job.protocol, "smoke", "generated", tmp_path)
    plain, salted = data.cell(None, 0.4, 0), data.cell(None, 0.4, 0, "pepper")
    assert plain.validation is not None
    assert salted.validation is not None
    assert not np.array_equal(plain.validation.given, salted.validation.given)
    assert np.array_equal(plain.test.given, salted.test.given)
    assert plain.noise["mask"] != salted.noise["mask"]


@pytest.mark.parametrize("salt", ["a\nb", " a", "x" * 65])
def test_a_salt_that_no_record_can_keep_is_refused(salt: str) -> None:
    with pytest.raises(BadInput, match=r"--noise-salt: at most 64 printable characters"):
        grid(salt)


def test_a_salt_for_noise_that_comes_with_the_data_is_refused() -> None:
    with pytest.raises(BadInput, match=r"--noise-salt: the noise of fer2013-real comes with its data"):
        grid("pepper", protocol="fer2013-real", levels=(), synthetic=False)


def test_two_files_that_give_one_name_are_refused(tmp_path: Path) -> None:
    """One of them would take the place of the other."""
    folders = (tmp_path / "first", tmp_path / "second")
    for folder in folders:
        folder.mkdir()
        (folder / "mine.py").write_text("from fernoise_bench.baselines.supervised import Supervised as Mine")
    with pytest.raises(BadInput, match=r"first/mine\.py and .*second/mine\.py both give mine\.Mine; rename"):
        grid(methods=tuple(f"{folder}/mine.py:Mine" for folder in folders))
    assert len(grid(methods=(f"{folders[0]}/mine.py:Mine",) * 2).methods) == 1


def test_only_the_variant_of_cores_that_divides_its_loss_trains_by_its_authors_recipe() -> None:
    """Without the division the rate would be up to three times theirs from the ramp of β on."""
    found = grid(methods=("cores:divided",), recipe="native")
    assert [(trial.method.name, trial.job.recipe) for trial in found.trials] == [("cores:divided", "native")] * 2
    assert found.trials[0].method.params_as_json()["divide"] is True
    assert found.trials[0].job.settings.recipe.learning_rate == 0.1
    refusal = r"--method cores is not applicable to ferplus-sym: it has a native recipe as cores:divided only, .*: name"
    with pytest.raises(BadInput, match=refusal):
        grid(methods=("cores",), recipe="native")
    with pytest.raises(BadInput, match=r"it has no native recipe: its paper does not state one completely"):
        grid(methods=("sop:plus",), recipe="native")
    assert grid(methods=("cores",)).methods == ("cores",)
    assert "native" in {trial.job.recipe for trial in grid(methods=("resup:first-network",), recipe="native").trials}
