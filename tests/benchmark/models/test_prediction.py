"""Predictions for pictures on disk: every row, continued where it stopped, bad pictures told."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.models import picture_list, prediction
from fernoise_bench.benchmark.models.model import TrainedModel, load_model
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.images import landmarks

from ...toy import AUS, CLASSES, ignore
from .test_model import kept


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kept("supervised", "single", tmp_path_factory.mktemp("kept"))[1] / "weights-last.safetensors"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 30, 40, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / "below" / f"face{number}.png")
    return folder


def predict(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["predict", *map(str, arguments)])
    return result.exit_code, result.stderr


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_a_csv_and_one_picture_give_the_models_probabilities(
    weights: Path, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "found.csv"
    assert predict(weights, pictures, "--out", out)[0] == 0
    rows = rows_of(out)
    assert [row["path"] for row in rows] == [f"below/face{number}.png" for number in range(5)]
    assert list(rows[0]) == ["path", "predicted", *CLASSES, "problem"]
    images = np.stack([np.asarray(Image.open(pictures / row["path"])) for row in rows])
    expected = load_model(weights).predict(images).numpy()
    found = np.array([[float(row[name]) for name in CLASSES] for row in rows])
    assert np.abs(found - expected).max() < 1e-6
    assert [row["predicted"] for row in rows] == [CLASSES[number] for number in expected.argmax(axis=1)]

    table = tmp_path / "list.csv"
    table.write_text("path,subject\npictures/below/face3.png,a\npictures/below/face1.png,b\n")
    assert predict(weights, table, "--out", out)[0] == 0
    assert [row[CLASSES[0]] for row in rows_of(out)] == [rows[3][CLASSES[0]], rows[1][CLASSES[0]]]
    table.write_text("subject;path\na;pictures/below/face3.png\n")
    assert predict(weights, table, "--out", out)[0] == 0
    assert [row["path"] for row in rows_of(out)] == ["pictures/below/face3.png"]
    assert predict(weights.parent, pictures / "below" / "face2.png", "--out", out)[0] == 0
    assert rows_of(out) == [{**rows[2], "path": "face2.png"}]


def test_a_bad_picture_is_one_line_and_a_row_with_its_problem(weights: Path, pictures: Path, tmp_path: Path) -> None:
    (pictures / "bad.jpg").write_bytes(b"nothing")
    out = tmp_path / "found.csv"
    code, told = predict(weights, pictures, "--out", out)
    assert code == 1
    assert told.count("bad.jpg: no JPEG") == 1
    assert "not read: 1" in told
    first, *others = rows_of(out)
    assert (first["path"], first["predicted"], first[CLASSES[0]]) == ("bad.jpg", "", "")
    assert first["problem"].startswith("no JPEG")
    assert len(others) == 5
    assert not any(row["problem"] for row in others)


class Interrupted(Exception):
    pass


def interrupt(model: TrainedModel, asked: picture_list.Asked, out: Path, after: int) -> None:
    def report(done: int, _: int) -> None:
        if done >= after:
            raise Interrupted

    with pytest.raises(Interrupted):
        prediction.predict_pictures(model, asked, out, align=False, report=report, warn=ignore)


def test_an_interrupted_table_is_continued(
    weights: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "BATCH", 2)
    (pictures / "a bad one.png").write_bytes(b"")
    model, asked = load_model(weights), picture_list.pictures_of(pictures)
    out, whole = tmp_path / "found.csv", tmp_path / "whole.csv"
    assert prediction.predict_pictures(model, asked, whole, align=False, report=lambda *_: None, warn=ignore) == 1
    interrupt(model, asked, out, after=2)
    assert not out.exists()
    part = out.with_name("found.csv.part")
    with part.open("a") as file:
        file.write('below/face3.png,"torn')  # a row that was being written
    read: list[str] = []
    original = prediction.face_of_file

    def watched(path: Path, *rest: object, **more: bool) -> object:
        read.append(path.name)
        return original(path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(prediction, "face_of_file", watched)
    assert prediction.predict_pictures(model, asked, out, align=False, report=lambda *_: None, warn=ignore) == 1
    assert out.read_bytes() == whole.read_bytes()
    assert read == ["face1.png", "face2.png", "face3.png", "face4.png"]
    assert not part.exists()


def test_an_unfinished_table_of_other_options_is_refused(
    weights: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "BATCH", 2)
    model, asked = load_model(weights), picture_list.pictures_of(pictures)
    interrupt(model, asked, tmp_path / "found.csv", after=2)
    monkeypatch.setattr(prediction, "check_detector", lambda: None)  # what aligning asks for need not be installed
    with pytest.raises(BadInput, match="an unfinished table of another model or of other options"):
        prediction.predict_pictures(
            model, asked, tmp_path / "found.csv", align=True, report=lambda *_: None, warn=ignore
        )


def test_action_units_are_predicted_from_one_half_on(tmp_path: Path, pictures: Path) -> None:
    _, folder = kept("supervised", "multi", tmp_path / "kept", epochs=2)
    out = tmp_path / "found.csv"
    assert predict(folder, pictures, "--out", out)[0] == 0
    for row in rows_of(out):
        assert row["predicted"].split() == [name for name in AUS if float(row[name]) >= 0.5]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file\na.png\n", "a column 'path' with the pictures' paths is needed; found: file"),
        ("", "found: no row"),
        ("path\na.png\n\nb.png\na.png\n", "a.png stands in lines"),
        ("path,x\n ,1\n", "line 2 has no path"),
    ],
)
def test_tables_without_usable_paths(content: str, said: str, weights: Path, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text(content)
    code, told = predict(weights, table)
    assert (code, told.count("\n")) == (2, 1)
    assert said in told


def test_what_is_read_is_not_replaced(weights: Path, pictures: Path, tmp_path: Path) -> None:
    table, kept = tmp_path / "list.csv", weights.read_bytes()
    table.write_text("path,subject\npictures/below/face3.png,a\n")
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    for source, out, said in (
        (pictures, weights, "this file is read"),
        (table, table, "this file is read"),
        (pictures, precious, "no table of predictions is there"),
        (pictures, tmp_path / "absent" / "found.csv", "make it first"),
    ):
        code, told = predict(weights, source, "--out", out)
        assert (code, told.count("\n")) == (2, 1)
        assert said in told
    assert weights.read_bytes() == kept
    assert precious.read_text() == "mine"
    words = ["export", str(weights), "--to", "torchscript", "--out", str(weights)]
    assert CliRunner().invoke(main, words).exit_code == 2
    assert weights.read_bytes() == kept


def test_aligning_without_the_detector_is_refused_at_once(
    weights: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def models() -> None:
        raise BadInput("aligning faces needs dlib: pip install 'fernoise-bench[align]'")

    monkeypatch.setattr(landmarks, "models", models)
    code, told = predict(weights, pictures, "--align", "--out", tmp_path / "found.csv")
    assert code == 2
    assert told.count("aligning faces needs dlib") == 1
    assert not list(tmp_path.glob("found*"))


def test_places_without_pictures(weights: Path, tmp_path: Path) -> None:
    assert "no picture in this folder" in predict(weights, tmp_path)[1]
    assert "no such file or folder" in predict(weights, tmp_path / "absent")[1]
