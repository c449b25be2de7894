"""What `data verify` tells of labels of others: how many rows belong to pictures, and why a source cannot be used."""

from pathlib import Path

import pytest

from fernoise_bench.protocols.datasets.beside import Beside, beside
from fernoise_bench.protocols.readers.rafdb import read

from ..miniatures import bp4d, cremad, ferplus, openface, rafdb

LISTED = rafdb.rows(train=30, test=2)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rafdb.write_official(tmp_path / "rafdb", LISTED)
    return tmp_path


def told(found: Beside) -> dict[str, tuple[int | str, int | str, str]]:
    return {check.what: (check.expected, check.found, check.where) for check in found.checks}


def test_nothing_is_beside_a_copy_alone(root: Path) -> None:
    assert beside("rafdb", root) == ()
    bp4d.write_au_occ(root / "bp4d")
    assert beside("bp4d", root) == ()


def test_openface_output_says_which_pictures_have_a_row(root: Path) -> None:
    paths = read(root / "rafdb").path.tolist()
    openface.write_named(root / "openface", "rafdb", paths[:-1])
    (found,) = beside("rafdb", root)
    assert found.what == "OpenFace, rafdb.csv, by file name, FaceLandmarkImg"
    assert told(found)["pictures with a row"] == (224, 223, paths[-1])
    assert told(found)["rows with a value that is no number"] == (0, 0, "")


@pytest.mark.parametrize("times", [True, False])
def test_single_annotators_of_cremad_are_compared_with_its_votes(times: bool, tmp_path: Path) -> None:
    cremad.write(tmp_path / "cremad", picture=None)
    assert beside("cremad", tmp_path) == ()
    cremad.write_responses(tmp_path / "cremad", times=times)
    (found,) = beside("cremad", tmp_path)
    assert found.what == "single annotators, finishedResponses.csv"
    whole = sum(map(sum, cremad.votes_of().values()))
    late = "3 late ones are left out" if times else ""
    assert told(found)["their labels"] == (whole + 3 * (not times), whole + 3 * (not times), late)
    assert told(found)["labels of what is no clip"] == (0, 0, "")
    touched = {(mode, clip) for _, clip, mode, _, time in cremad.responses_of(cremad.votes_of()) if time > 10_000}
    equal = 108 if times else 108 - len(touched)
    assert told(found)["clips and ways of presentation with the votes of the table"] == (108, equal, "")
    (tmp_path / "cremad/finishedResponses.csv").write_text("localid,clipName\n")
    (found,) = beside("cremad", tmp_path)
    assert "no column queryType" in found.checks[0].where


def test_openface_output_of_fer_plus(tmp_path: Path) -> None:
    ferplus.write_tables(tmp_path / "ferplus")
    openface.write_named(tmp_path / "openface", "ferplus", [f"fer{n:07d}.png" for n in range(79)])
    (found,) = beside("ferplus", tmp_path)
    assert told(found)["pictures with a row"] == (80, 79, "FER2013Test/fer0000079.png")


def test_output_that_cannot_be_joined_says_why(root: Path) -> None:
    openface.write_sequence(root / "openface", "rafdb", ["a.jpg"])
    (found,) = beside("rafdb", root)
    assert found.what == "OpenFace"
    assert [check.what for check in found.checks] == ["usable"]
    assert "1 pictures here, 224 in rafdb, which are matched by order" in found.checks[0].where


def test_noisy_lists_say_how_many_labels_differ_and_that_test_rows_are_not_used(root: Path) -> None:
    labels = root / "rafdb/EmoLabel"
    wrong = [(name, code % 7 + 1 if at % 10 == 0 else code) for at, (name, code) in enumerate(LISTED)]
    rafdb.write_noisy_list(labels / "0.1noise_train.txt", "scn", wrong)
    rafdb.write_list(labels / "0.4noise_train1.txt", wrong)
    (labels / "0.5noise_train1.txt").write_text("train_00001.jpg happy\n")
    first, second, third = beside("rafdb", root)
    assert first.what == "noisy labels, EmoLabel/0.1noise_train.txt"
    assert told(first) == {
        "rows of training pictures": (210, 210, "10.00% of them differ from the owners' labels"),
        "rows of test pictures, not used": (0, 0, ""),
        "about the share of wrong labels in its name, 10%": ("yes", "yes", ""),
    }
    assert told(second)["about the share of wrong labels in its name, 40%"] == ("yes", "no, 10.00%", "")
    assert told(second)["rows of test pictures, not used"] == (14, 14, "2 of them differ from the owners' labels")
    assert "line 1: label 'happy', not 0 to 6 nor 1 to 7" in told(third)["usable"][2]
