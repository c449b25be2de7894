"""Summaries beside bundles: the records are those of the bundle, and a summary of another bundle is not used."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.records import reference_leaderboard as shipped
from fernoise_bench.results.records import summaries
from fernoise_bench.results.records.bundle import expand, read_epochs_of, write_bundle
from fernoise_bench.results.records.record import Record, Score, load_records
from fernoise_bench.results.records.summaries import read_summary, write_summary

from ...conftest import REFERENCE
from ..fabricate import Trial, fabricate

BUNDLES = sorted(REFERENCE.glob("*.zip"))
SMALLEST = {bundle.name.rpartition("-seed")[0]: bundle for bundle in BUNDLES}  # one of each protocol


def told(score: Score | None) -> str:
    """A score as text, in which NaN equals NaN."""
    return repr(score)


def assert_equal(found: Sequence[Record], wanted: Sequence[Record]) -> None:
    assert [record.folder for record in found] == [record.folder for record in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert (one.identity, one.environment, one.status) == (other.identity, other.environment, other.status)
        assert tuple(one.epochs) == tuple(other.epochs)
        assert len(one.epochs) == len(other.epochs)
        assert one.epochs[-1] == other.epochs[-1]
        for mine, theirs in ((one.scores, other.scores), (one.scores_without_copies, other.scores_without_copies)):
            assert {rule: told(score) for rule, score in mine.items()} == {r: told(s) for r, s in theirs.items()}
        assert (one.subjects is None) == (other.subjects is None)
        if one.subjects is not None and other.subjects is not None:
            assert one.subjects.names == other.subjects.names
            assert np.array_equal(one.subjects.counts, other.subjects.counts)


def check_bundle(bundle: Path, tmp_path: Path) -> None:
    """The summary that ships beside a bundle against its trials, unpacked and computed again."""
    found = read_summary(bundle, {})
    assert found is not None, f"{bundle.name} has no summary, or that of another bundle: make summaries"
    expand(bundle, tmp_path / "trials")
    records, damaged = load_records(tmp_path / "trials")
    assert not damaged
    assert_equal(found, records)


def test_every_bundle_that_ships_has_its_own_summary() -> None:
    assert len(BUNDLES) > 20
    assert all(read_summary(bundle, {}) for bundle in BUNDLES), "make summaries"
    assert {path.stem for path in REFERENCE.glob("*.summary")} == {bundle.stem for bundle in BUNDLES}


@pytest.mark.parametrize("name", ["disfa-3fold-plain-small-generated", "fer2013-real-small"])
def test_a_summary_that_ships_has_what_is_computed_from_its_bundle(name: str, tmp_path: Path) -> None:
    check_bundle(SMALLEST[name], tmp_path)


@pytest.mark.weekly
@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.stem)
def test_all_summaries_that_ship_have_what_is_computed_from_their_bundles(bundle: Path, tmp_path: Path) -> None:
    check_bundle(bundle, tmp_path)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of a finished trial, and of one that diverged before it knew its task."""
    done = fabricate(tmp_path / "runs", Trial(epochs=3))
    lost = fabricate(tmp_path / "runs", Trial(method="scn", state="diverged", reason="the loss is nan", epochs=3))
    (lost / "environment.json").unlink()
    (lost / "epochs.jsonl").unlink()
    write_bundle(tmp_path / "runs", [done, lost], tmp_path / "reference" / "some.zip")
    return tmp_path / "reference" / "some.zip"


def test_a_trial_that_diverged_is_in_the_summary(bundle: Path, tmp_path: Path) -> None:
    write_summary(bundle)
    found = read_summary(bundle, {})
    assert found is not None
    expand(bundle, tmp_path / "trials")
    assert {record.state for record in found} == {"done", "diverged"}
    done, lost = sorted(found, key=lambda record: record.lost)
    assert_equal([done], [record for record in load_records(tmp_path / "trials")[0] if record.done])
    assert (lost.status.reason, len(lost.epochs), lost.environment.known) == ("the loss is nan", 0, False)


def test_the_same_bundle_gives_the_same_summary(bundle: Path) -> None:
    first = write_summary(bundle).read_bytes()
    assert write_summary(bundle).read_bytes() == first


def test_records_are_read_without_unpacking_the_bundle(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plain = shipped.shipped_records(bundle.parent)
    assert list((tmp_path / "cache").rglob("predictions.npz"))  # without a summary it is
    shutil.rmtree(tmp_path / "cache")
    assert shipped.summarise(bundle.parent) == [bundle.with_suffix(".summary")]
    assert shipped.summarise(bundle.parent) == []
    records, damaged = shipped.shipped_records(bundle.parent)
    assert (len(records), damaged) == (2, [])
    done = next(record for record in records if record.done)
    assert [line.epoch for line in done.epochs] == [0, 1, 2]
    assert not list(tmp_path.glob("cache/**/*.npz"))
    assert [record.folder for record in records] == [record.folder for record in plain[0]]


def test_a_summary_of_another_bundle_is_not_used(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_summary(bundle)
    (other,) = (fabricate(tmp_path / "others", Trial(method="elr", seed=5)),)
    write_bundle(tmp_path / "others", [other], bundle)
    assert read_summary(bundle, {}) is None
    assert [record.method for record in shipped.shipped_records(bundle.parent)[0]] == ["elr"]


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_damaged_summary_or_one_of_another_layout_is_not_used(
    bundle: Path, damage: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = write_summary(bundle)
    if damage is None:
        monkeypatch.setattr(summaries, "FORMAT", summaries.FORMAT + 1)
    else:
        summary.write_bytes(damage)
    assert read_summary(bundle, {}) is None


def test_epochs_of_a_trial_that_a_bundle_lacks(bundle: Path) -> None:
    with pytest.raises(BadInput, match=r"some\.zip is damaged or not a bundle of trials"):
        read_epochs_of(bundle, "ferplus-sym@1/none/0123456789abcdef")
