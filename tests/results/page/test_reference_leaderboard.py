"""What is said of the records that ship: their own facts, apart from what the command line says."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from fernoise_bench.benchmark.cli import main
from fernoise_bench.results.records import reference_leaderboard as shipped
from fernoise_bench.results.records.record import load_records
from fernoise_bench.results.records.reference_leaderboard import bundle_runs, statement

from ..fabricate import Trial, fabricate_all

SETTINGS = {
    "recipe": {"encoder": "small", "epochs": 15, "augmentation": {"crop": 48}},
    "weights": "none",
    "precision": "fp32",
}


def records_of(tmp_path, trials):
    fabricate_all(tmp_path, trials)
    return load_records(tmp_path)[0]


def test_it_says_encoder_side_epochs_faces_device_and_seeds(tmp_path):
    trials = [Trial(settings=SETTINGS), Trial(method="scn", settings=SETTINGS, device="CPU, AVX2")]
    (_, facts) = statement(records_of(tmp_path, trials))
    assert facts == (
        "A small encoder from scratch, 48×48 pixels, 15 epochs, 100 training faces, trained on a CPU, "
        "1 seed of each method: no ranking."
    )


def test_seeds_are_counted_by_method_and_protocols_that_differ_are_told_apart(tmp_path):
    other = {**SETTINGS, "recipe": {**SETTINGS["recipe"], "encoder": "resnet34", "epochs": 40}, "weights": "imagenet"}
    trials = [Trial(seed=seed, settings=SETTINGS) for seed in range(3)] + [Trial(method="scn", settings=SETTINGS)]
    trials += [Trial(protocol="rafdb-sym", settings=other, device="cuda: A100")]
    _, first, second = statement(records_of(tmp_path, trials))
    assert first.startswith("ferplus-sym: a small encoder from scratch")
    assert first.endswith("1 to 3 seeds of each method.")
    assert second.startswith("rafdb-sym: the encoder resnet34 that starts from imagenet, 48×48 pixels, 40 epochs")
    assert "trained on cuda: A100" in second


def test_records_without_those_facts_still_have_a_statement(tmp_path):
    assert statement([]) == []
    assert len(statement(records_of(tmp_path, [Trial()]))) == 2


@pytest.fixture
def ships(tmp_path, monkeypatch):
    fabricate_all(tmp_path / "runs", [Trial(settings=SETTINGS), Trial(method="scn", settings=SETTINGS)])
    bundle_runs(tmp_path / "runs", tmp_path / "reference")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "reference")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_page_has_the_statement_and_the_command_line_its_message(ships, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["report", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "no trials in" in done.output
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "no trials in" not in page
    (about,) = re.findall(r'"about":\[(.*?)\]', page)
    assert "48×48 pixels" in about


@pytest.mark.parametrize("command", [["report", "--out", "page"], ["table", "ferplus-sym"], ["claims"]])
def test_what_ships_takes_the_place_of_no_folder_that_is_named(ships, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    mistyped = CliRunner().invoke(main, [*command, "--runs", "rusn"])
    assert (mistyped.exit_code, mistyped.stdout) == (2, "")
    assert "--runs rusn: no such folder" in mistyped.stderr
    (tmp_path / "empty").mkdir()
    assert "reference leaderboard" not in CliRunner().invoke(main, [*command, "--runs", "empty"]).output


def test_a_page_of_one_s_own_records_has_no_statement(tmp_path):
    fabricate_all(tmp_path / "runs", [Trial(settings=SETTINGS)])
    CliRunner().invoke(main, ["report", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")])
    assert '"about":[]' in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
