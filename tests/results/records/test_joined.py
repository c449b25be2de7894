"""Several folders and what ships, read as one set of records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fernoise_bench.results.records import reference_leaderboard as shipped
from fernoise_bench.results.records.joined import joined, once, parted
from fernoise_bench.results.records.record import Record, Score

from ..fabricate import Trial, fabricate_all, record_of, ship


@pytest.fixture
def reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two methods with two seeds ship, at the small profile on real faces."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    folder = ship(tmp_path / "reference", [Trial(method, seed=seed) for method in ("elr", "gce") for seed in (0, 1)])
    monkeypatch.setattr(shipped, "FOLDER", folder)
    return folder


def scored(trial: Trial, headline: float, **changes) -> Record:
    record = record_of(trial, {"last": Score(headline, (), None)})
    return replace(record, folder=f"{trial.method}/{trial.seed}", **changes)


def test_a_trial_in_two_folders_counts_once_and_the_finished_copy_counts(tmp_path: Path) -> None:
    fabricate_all(tmp_path / "a", [Trial("elr"), Trial("gce", state="interrupted")])
    fabricate_all(tmp_path / "b", [Trial("elr"), Trial("gce"), Trial("sce")])
    found = joined([tmp_path / "a", tmp_path / "b"])
    assert sorted((record.method, record.state) for record in found.records) == [
        *[("elr", "done"), ("gce", "done"), ("sce", "done")]
    ]
    assert found.notices == ["in several places, and counted once: 2 trials"]
    assert not any(record.shipped for record in found.records)


def test_copies_with_other_scores_are_told_and_the_first_counts() -> None:
    records, notices = once([scored(Trial("elr"), 0.5), scored(Trial("elr"), 0.6), scored(Trial("gce"), 0.7)])
    assert [record.headline() for record in records] == [0.5, 0.7]
    assert notices[1].startswith("1 of them have other scores there, as elr/0: the first place counts")


def test_what_ships_comes_after_the_users_own_and_is_marked(reference: Path, tmp_path: Path) -> None:
    fabricate_all(tmp_path / "mine", [Trial("mine.Mine"), Trial("elr", seed=1)])
    found = joined([tmp_path / "mine"], with_reference=True)
    told = [(record.method, record.identity.seed, record.shipped) for record in found.records]
    assert told[:2] == [("elr", 1, False), ("mine.Mine", 0, False)]  # of elr the user's own copy of one that ships
    assert sorted(told[2:]) == [("elr", 0, True), ("gce", 0, True), ("gce", 1, True)]


def test_without_trials_of_ones_own_what_ships_takes_their_place(reference: Path, tmp_path: Path) -> None:
    found = joined([tmp_path / "none"], named=False)
    assert found.reference_alone
    assert len(found.records) == 4
    assert not any(record.shipped for record in found.records)
    assert joined([tmp_path / "none"], named=True).records == []


def test_what_ships_like_some_trials_has_their_key_and_level(reference: Path) -> None:
    assert {(r.method, r.identity.seed, r.shipped) for r in shipped.shipped_like([record_of(Trial("mine"), {})])} == {
        (method, seed, True) for method in ("elr", "gce") for seed in (0, 1)
    }
    for other in (Trial("mine", level=0.4), Trial("mine", profile="smoke"), Trial("mine", settings={"precision": "x"})):
        assert shipped.shipped_like([record_of(other, {})]) == []


def test_records_of_another_key_stay_apart_and_the_fields_are_named() -> None:
    own = scored(Trial("mine", profile="smoke", source="generated"), 0.5)
    theirs = [scored(Trial(name), 0.5, shipped=True) for name in ("elr", "gce")]
    found = parted([own, *theirs])
    assert (found.together, found.apart, found.fields) == ([own], theirs, ["profile", "source"])
    alike = scored(Trial("mine"), 0.5)
    assert parted([alike, *theirs]).apart == []
    assert parted(theirs).together == theirs


def test_another_protocol_goes_along_at_the_same_setting_only() -> None:
    own = scored(Trial("mine"), 0.5)
    same = scored(Trial("elr", protocol="fer2013-real"), 0.5, shipped=True)
    other = scored(Trial("elr", protocol="rafdb-sym", profile="paper"), 0.5, shipped=True)
    found = parted([own, same, other])
    assert (found.together, found.apart, found.fields) == ([own, same], [other], ["profile"])


def test_predictions_are_read_where_the_record_lies(reference: Path, tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    fabricate_all(folders[1], [Trial("mine")])
    for record in joined(folders, with_reference=True).records:
        place = shipped.predictions_file(record, folders)
        assert place.is_file()
        assert place.is_relative_to(folders[1]) is not record.shipped
