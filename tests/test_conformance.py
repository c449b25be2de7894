"""What every registered method and variant must do, whatever its idea: the checks of `fernoise-bench conformance`.

A method file of your own: FERNOISE_METHOD=path/to/file.py:Class pytest tests/test_conformance.py
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from fernoise_bench.benchmark import registry
from fernoise_bench.benchmark.conformance import checks
from fernoise_bench.benchmark.conformance.suite import kinds_of, variants_of
from fernoise_bench.protocols.base import Kind

from .protocols.miniatures.ferplus import write_tables
from .results.fabricate import Trial, fabricate

OWN = os.environ.get("FERNOISE_METHOD", "")
OWN = OWN and str(Path.cwd() / OWN)  # some tests go elsewhere
METHODS = [registry.find(OWN)] if OWN else list(registry.all_base())


def _cases() -> Iterator[tuple[str, Kind]]:
    """Every base name, or the method file that is asked for, on every kind of labels it can learn from."""
    for spec in METHODS:
        for kind in kinds_of(OWN or spec.name):
            yield OWN or spec.name, kind


def _variants() -> Iterator[tuple[str, Kind]]:
    for name, kind in _cases():
        yield from ((f"{name}:{variant}", kind) for variant in variants_of(name, kind))


CASES = list(_cases())
VARIANTS = list(_variants())
every_method = pytest.mark.parametrize(("name", "kind"), CASES, ids=lambda value: str(value))
every_au_method = pytest.mark.parametrize("name", [name for name, kind in CASES if kind == "multi"])


def first_kinds(cases: list[tuple[str, Kind]]) -> pytest.MarkDecorator:
    """Every name with its first kind of labels at every push, with the other one weekly: for slow checks."""
    first = dict(reversed(cases))
    marked = [
        pytest.param(name, kind, marks=[] if first[name] == kind else [pytest.mark.weekly]) for name, kind in cases
    ]
    return pytest.mark.parametrize(("name", "kind"), marked, ids=lambda value: str(value))


# The papers' own methods and plain training. The slowest checks are of these and some others at every push, of all
# methods and variants once a week.
OF_EVERY_PUSH = {OWN, "supervised", "recot", "cocuring", "ulc_ag", "rhls", "mlcr"}


def sampled(
    cases: list[tuple[str, Kind]], one_in: int, always: Collection[str] = OF_EVERY_PUSH
) -> pytest.MarkDecorator:
    """Some methods with their variants and one in so many others at every push, the rest weekly."""
    marked = [
        pytest.param(
            *case, marks=[] if case[0].partition(":")[0] in always or not at % one_in else [pytest.mark.weekly]
        )
        for at, case in enumerate(cases)
    ]
    return pytest.mark.parametrize(("name", "kind"), marked, ids=lambda value: str(value))


every_method_once = first_kinds(CASES)
some_methods = sampled(CASES, 3)
some_variants = sampled(VARIANTS, 4, always=())
learning = sampled(CASES, len(CASES))


@learning
def test_learns_a_separable_toy_set(name: str, kind: Kind, tmp_path: Path) -> None:
    checks.learns_a_separable_set(name, kind, tmp_path)


@some_methods
def test_same_seed_same_state_other_seed_other_state(name: str, kind: Kind, tmp_path: Path) -> None:
    checks.repeats_itself(name, kind, tmp_path)


@some_methods
def test_does_not_draw_from_the_global_generator(name: str, kind: Kind, tmp_path: Path) -> None:
    checks.draws_from_its_generator(name, kind, tmp_path)


@some_methods
def test_all_state_is_parameters_and_buffers(name: str, kind: Kind, tmp_path: Path) -> None:
    checks.keeps_its_state_in_buffers(name, kind, tmp_path)


@every_method_once
def test_predicts_probabilities_of_single_images_as_of_batches(name: str, kind: Kind, tmp_path: Path) -> None:
    checks.predicts_probabilities(name, kind, tmp_path)


@every_method
def test_says_what_it_trained_on_in_the_agreed_shapes(name: str, kind: Kind, tmp_path: Path) -> None:
    checks.says_what_it_trained_on(name, kind, tmp_path)


@every_au_method
def test_an_au_without_a_known_label_trains_without_trouble(name: str, tmp_path: Path) -> None:
    checks.trains_without_labels_of_an_au(name, "multi", tmp_path)


@every_au_method
def test_a_batch_of_unknown_labels_teaches_nothing(name: str, tmp_path: Path) -> None:
    try:
        checks.learns_nothing_from_unknown_labels(name, "multi", tmp_path)
    except checks.LeftOut as why:
        pytest.skip(str(why))


@every_method
def test_no_reference_label_or_test_row_can_be_reached(name: str, kind: Kind, tmp_path: Path) -> None:
    checks.reaches_no_reference(name, kind, tmp_path)


@some_methods
def test_learns_from_what_it_is_handed_alone(name: str, kind: Kind, tmp_path: Path) -> None:
    checks.learns_from_what_it_is_handed(name, kind, tmp_path)


@some_methods
def test_opens_nothing_while_it_trains(name: str, kind: Kind, tmp_path: Path) -> None:
    """Where a readable data set and results lie."""
    write_tables(tmp_path / "data" / "ferplus")
    fabricate(tmp_path / "fernoise-runs", Trial())
    checks.opens_nothing(name, kind, tmp_path)


@some_variants
def test_every_variant_runs_to_its_end(name: str, kind: Kind, tmp_path: Path) -> None:
    checks.runs_to_its_end(name, kind, tmp_path)


@every_method
def test_every_hyper_parameter_has_a_source(name: str, kind: Kind, tmp_path: Path) -> None:
    checks.names_its_sources(name, kind, tmp_path)
