"""A protocol that is a file, from `data new` to the table, and every mistake in one line before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cli import main
from fernoise_bench.protocols.catalog import PROTOCOLS, protocol_of_file

from ...protocols.miniatures.own import HEADER, TOML, changed, rows, write, write_table


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FERNOISE_DATA", raising=False)


def ran(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def trained(*words: str, method: str = "supervised") -> Result:
    return ran("run", "--protocol", "lab/mine.toml", "--method", method, "--profile", "smoke", "--workers", "1", *words)


def test_from_pictures_to_a_table(tmp_path: Path) -> None:
    write(tmp_path / "lab")
    (tmp_path / "lab/mine.toml").unlink()
    write_table(tmp_path / "lab/labels.csv", rows(), ["path", "given", "subject", "split"])
    made = ran("data", "new", "lab/mine.toml", "--from", "lab/labels.csv")
    assert made.exit_code == 0, made.output
    assert "guessed:\n  path: a column is called path" in made.output
    assert made.output.endswith("then: fernoise-bench data verify lab/mine.toml\n")
    checked = ran("data", "verify", "lab/mine.toml")
    assert checked.exit_code == 0, checked.output
    assert "mine: 12 pictures; pixels 8 x 8: 12" in checked.output

    result = trained("--seeds", "1")
    assert result.exit_code == 0, result.output + result.stderr
    assert f"own pictures in {tmp_path / 'lab'}" in result.stderr
    note = "Test labels are the given ones, since the data have no reference labels; the audit is off."
    assert note in result.output
    for shown in (ran("table", "lab/mine.toml"), ran("table", "mine")):
        assert shown.exit_code == 0, shown.output
        assert "**mine@1: accuracy in %, last epoch, smoke profile, real faces**" in shown.output
        assert note in shown.output
    card = ran("show", "protocol", "lab/mine.toml", "--profile", "smoke")
    assert card.exit_code == 0
    assert "no audit" in card.output
    assert "generated" not in card.output
    assert card.output.count("| folds ") == 1

    again = trained("--seeds", "1")
    assert "1 finished before, 0 to run" in again.stderr
    written = [path for path in (tmp_path / "fernoise-runs").rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if str(tmp_path).encode() in path.read_bytes()]
    (identity,) = (json.loads(path.read_text()) for path in written if path.name == "identity.json")
    assert identity["data"].keys() == {"layout", "digest", "judged_by"}
    assert identity["data"]["layout"] == "own data; whole picture, 8 px"


def test_another_label_is_another_trial_and_another_name_of_a_picture_is_not(tmp_path: Path) -> None:
    def ids() -> set[str]:
        assert trained("--seeds", "1").exit_code == 0
        return {path.name for path in (tmp_path / "fernoise-runs/mine@1/supervised").iterdir()}

    listed = rows()
    write(tmp_path / "lab", listed=listed)
    first = ids()
    (tmp_path / "lab/faces/000.png").rename(tmp_path / "lab/faces/a.png")
    listed[0]["path"] = "a.png"
    write_table(tmp_path / "lab/labels.csv", listed)
    assert ids() == first
    listed[0]["given"] = "sad"
    write_table(tmp_path / "lab/labels.csv", listed)
    assert len(ids()) == 2


def test_a_method_that_needs_verified_rows_runs_where_a_column_has_them(tmp_path: Path) -> None:
    write(tmp_path / "lab")
    refused = trained(method="supervised:clean")
    assert refused.exit_code == 2
    assert "is not applicable to mine: it needs verified rows" in refused.stderr
    write(tmp_path / "lab", changed(("subject =", 'verified = "verified"\nsubject =')))
    assert trained("--seeds", "1", method="supervised:clean").exit_code == 0


def test_folds_and_levels_are_those_of_the_file(tmp_path: Path) -> None:
    toml = changed(
        ('train = ["train"]\ntest = ["test"]', "folds = 2"),
        ("side = 8", 'side = 8\n[noise]\nkind = "symmetric"\nlevels = [0.0, 0.4]'),
    )
    write(tmp_path / "lab", toml)
    result = trained("--seeds", "1", "--noise", "0.4", "--fold", "2")
    assert result.exit_code == 0, result.output + result.stderr
    shown = ran("table", "lab/mine.toml")
    assert "Folds: fold1, fold2" in shown.output  # the file knows of the fold that has not been run
    assert "the audit counts the noise that was added alone" in shown.output
    assert trained("--noise", "0.3").exit_code == 2
    planned = ran("plan", "--protocol", "lab/mine.toml", "--method", "supervised", "--profile", "smoke", "--seeds", "1")
    assert planned.exit_code == 0, planned.output + planned.stderr


def test_verify_tells_by_its_exit_code(tmp_path: Path) -> None:
    write(tmp_path / "lab")
    content = (tmp_path / "lab/faces/000.png").read_bytes()
    (tmp_path / "lab/faces/011.png").write_bytes(content)
    found = ran("data", "verify", "lab/mine.toml", "--json")
    assert found.exit_code == 1
    told = json.loads(found.output)
    assert told["ok"] is False
    wrong = {check["what"]: check["where"] for check in told["checks"] if check["ok"] == "NO"}
    assert wrong == {"pictures in two parts": "011.png is 000.png"}
    assert "suspects" not in told
    listed = ran("data", "verify", "lab/mine.toml", "--out", "suspects.csv")
    assert "wrote suspects.csv: 1 lines" in listed.stderr
    assert '011.png,copy with another label,000.png,calm,happy,"test, train"' in Path("suspects.csv").read_text()
    assert "leave it out" in ran("data", "verify", "ferplus", "--out", "suspects.csv").stderr
    (tmp_path / "lab/faces/005.png").write_bytes(content[:100])
    damaged = ran("data", "verify", "lab/mine.toml")
    assert damaged.exit_code == 2
    assert "damaged: 005.png: the picture is damaged" in damaged.output
    assert ran("data", "verify", "lab/mine.toml", "--quick").exit_code == 0


MISTAKES: dict[str, tuple[str, dict[int, dict[str, str]], str]] = {
    "a mistyped key": (TOML.replace("labels =", "label ="), {}, "'label' in [protocol]: did you mean labels?"),
    "a wrong type": (TOML.replace("side = 8", 'side = "8"'), {}, "pictures.side = '8': must be a whole number"),
    "nested nonsense": (TOML.replace("[pictures]", "[pictures.side.side]"), {}, "pictures.side"),
    "a missing column": (TOML.replace('"subject"', '"who"'), {}, "no column 'who'"),
    "a path that leaves the root": (TOML, {3: {"path": "../mine.toml"}}, "line 5: '../mine.toml' leaves the folder"),
    "a duplicate row": (TOML, {3: {"path": "001.png"}}, "line 5: '001.png' is already in line 3"),
    "a class in test that train has not": (
        TOML.replace('"calm"]', '"calm", "new"]'), {9: {"given": "new"}}, "new is in the test rows and in no training"
    ),
    "a subject in two parts": (TOML, {9: {"subject": "s0"}}, "subject s0 is in two parts"),
    "an empty split": (TOML, {n: {"split": "train"} for n in (9, 10, 11)}, "no row for test"),
    "a picture that is missing": (TOML, {3: {"path": "gone.png"}}, "line 5: "),
    "a label that is no class": (TOML, {3: {"given": "hapy"}}, "did you mean happy?"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_in_one_line_before_anything_is_trained(tmp_path: Path, name: str) -> None:
    toml, changes, message = MISTAKES[name]
    write(tmp_path / "lab")
    (tmp_path / "lab/mine.toml").write_text(toml)
    listed = rows()
    for row, cells in changes.items():
        listed[row] |= cells
    write_table(tmp_path / "lab/labels.csv", listed, HEADER)
    result = trained()
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("fernoise-bench: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert result.output.count("\n") == 1
    assert not (tmp_path / "fernoise-runs").exists()


def test_a_picture_that_cannot_be_decoded_ends_the_run(tmp_path: Path) -> None:
    write(tmp_path / "lab")
    (tmp_path / "lab/faces/003.png").write_bytes(b"x")
    result = trained()
    assert result.exit_code == 2
    assert "003.png: no JPEG, PNG" in result.stderr
    assert not (tmp_path / "fernoise-runs").exists()


def test_pictures_can_be_prepared_before_a_run(tmp_path: Path) -> None:
    write(tmp_path / "lab")
    result = ran("data", "prepare", "lab/mine.toml", "--data-root", "elsewhere")
    assert result.output == "12 pictures of lab/mine.toml are prepared in elsewhere/packs\n"
    assert (tmp_path / "elsewhere/packs/own-mine-8/pack.json").is_file()
    assert ran("data", "prepare", "lab/mine.toml", "--align").exit_code == 2


def test_no_faces_are_generated_in_place_of_own_pictures(tmp_path: Path) -> None:
    write(tmp_path / "lab")
    result = trained("--synthetic")
    assert result.exit_code == 2
    assert "--synthetic: no faces are generated for mine" in result.stderr
    assert not (tmp_path / "fernoise-runs").exists()


def test_names_that_nobody_knows_are_told_with_near_ones(tmp_path: Path) -> None:
    result = ran("table", "mnie")
    assert result.exit_code == 2
    assert "unknown table or protocol 'mnie'" in result.stderr
    missing = ran("table", "none.toml")
    assert missing.exit_code == 2
    assert "none.toml: no such file; fernoise-bench data new" in missing.stderr
    write(tmp_path / "lab")
    empty = ran("table", "lab/mine.toml")
    assert empty.exit_code == 2
    assert "no records of mine" in empty.stderr
    assert f"fernoise-bench run --protocol {tmp_path / 'lab/mine.toml'} --all-methods" in empty.stderr


def test_a_file_is_no_way_to_a_published_name(tmp_path: Path) -> None:
    write(tmp_path / "lab", changed(('"mine"', '"rafdb-sym"')))
    result = trained()
    assert result.exit_code == 2
    assert "is a published protocol's" in result.stderr
    assert "mine" not in PROTOCOLS
    assert protocol_of_file(write(tmp_path / "lab")).name == "mine"


CHANGES = {
    "a recipe": (
        ("[pictures]", "[profile.smoke.recipe]\nepochs = 2\n[pictures]"),
        "1 from before a change of the file",
    ),
    "the order of labels": (('"happy", "sad"', '"sad", "happy"'), "1 from before a change of the file"),
    "a version": (('name = "mine"', 'name = "mine"\nversion = 2'), "1 of version 1 (the file has 2)"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_trials_of_the_file_before_a_change_are_not_shown(tmp_path: Path, name: str) -> None:
    edit, why = CHANGES[name]
    write(tmp_path / "lab")
    assert trained("--seeds", "1").exit_code == 0
    (tmp_path / "lab/mine.toml").write_text(changed(edit))
    for words in (["table"], ["table", "--audit"], ["table", "--long"], ["figure", "--out", "a.svg"]):
        result = ran(words[0], "lab/mine.toml", *words[1:])
        assert result.exit_code == 2, result.output
        assert f"only older ones ({why}): run it again" in result.stderr
        assert result.stderr.count("\n") == 1


def test_trials_of_a_label_before_its_correction_are_left_out_and_removed(tmp_path: Path) -> None:
    listed = rows()
    write(tmp_path / "lab", listed=listed)
    assert trained("--seeds", "1").exit_code == 0
    assert ran("table", "lab/mine.toml").stderr == ""
    nothing = ran("runs", "rm", "--older-than", "lab/mine.toml", "--yes")
    assert (nothing.exit_code, "no trials in fernoise-runs are older" in nothing.stderr) == (2, True)
    listed[0]["given"] = "sad"
    write_table(tmp_path / "lab/labels.csv", listed)
    assert "only older ones (1 of other labels or pictures): run it again" in ran("table", "lab/mine.toml").stderr
    assert trained("--seeds", "2").exit_code == 0
    both = ran("table", "lab/mine.toml")
    assert both.exit_code == 0, both.stderr
    assert "left out, older trials of mine: 1 of other labels or pictures" in both.stderr
    assert "removed 1 trial " in ran("runs", "rm", "--older-than", "lab/mine.toml", "--yes").output
    after = ran("table", "lab/mine.toml")
    assert (after.output, after.stderr) == (both.stdout, "")


def test_a_name_whose_file_must_be_named_is_told(tmp_path: Path) -> None:
    write(tmp_path / "lab")
    assert trained("--seeds", "1").exit_code == 0
    (tmp_path / "lab/mine.toml").rename(tmp_path / "lab/other.toml")
    by_name = ran("run", "--protocol", "mine", "--method", "supervised")
    assert (by_name.exit_code, by_name.stderr.count("\n")) == (2, 1)
    assert "'mine' is not a protocol here, though fernoise-runs has trials of it; name its TOML file" in by_name.stderr
    write(tmp_path)
    beside = ran("run", "--protocol", "mine", "--method", "supervised", "--out", "elsewhere")
    assert "'mine' is not a protocol here; name its TOML file: mine.toml" in beside.stderr
