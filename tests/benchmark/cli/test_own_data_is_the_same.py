"""FER2013's real faces as files of one's own: the same records as from the published tables."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from fernoise_bench.benchmark.cli import main
from fernoise_bench.protocols.labels import FERPLUS_CLASSES
from fernoise_bench.protocols.readers.fer2013 import FerPlus, majority, read, to_ferplus

CLASSES = FERPLUS_CLASSES[:7]
ROWS = ((0, 400), (28_709, 120), (32_298, 260))  # the first of each split
TOML = f"""
[protocol]
name = "fer2013-files"
kind = "expressions"
labels = {json.dumps(CLASSES)}
[data]
table = "labels.csv"
[data.columns]
reference = "reference"
split = "split"
[split]
train = ["Training"]
validation = ["PublicTest"]
test = ["PrivateTest"]
[pictures]
side = 48
copies = "leave out"
"""


def cut(source: Path, out: Path) -> None:
    """The first rows of each split of FER2013 and FER+."""
    out.mkdir(parents=True)
    for name in ("fer2013.csv", "fer2013new.csv"):
        with (source / name).open() as file:
            kept = [next(file)]
            at = 0
            for start, count in ROWS:
                kept += islice(file, start - at, start - at + count)
                at = start + count
        (out / name).write_text("".join(kept))


def as_files(faces: FerPlus, folder: Path) -> None:
    """A PNG for each face, a table and a TOML file."""
    folder.mkdir()
    given, reference = to_ferplus(faces.fer2013), majority(faces.votes)
    lines = ["path,given,reference,split"]
    for row in range(len(faces.row)):
        Image.fromarray(faces.images[row]).save(folder / f"{row}.png", compress_level=1)
        judged = CLASSES[reference[row]] if reference[row] < len(CLASSES) else ""
        split = ("Training", "PublicTest", "PrivateTest")[faces.usage[row]]
        lines.append(f"{row}.png,{CLASSES[given[row]]},{judged},{split}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    (folder / "fer.toml").write_text(TOML)


def record(out: Path, protocol: str) -> dict[str, Any]:
    """The parts of the only record of a protocol, without times."""
    (folder,) = (out / protocol / "supervised").iterdir()
    epochs = [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]
    parts = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("identity", "environment")}
    for line in epochs:
        del line["seconds"]
    return {**parts, "epochs": epochs, "predictions": (folder / "predictions.npz").read_bytes()}


@pytest.mark.data
def test_own_files_of_fer2013_give_its_records(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What differs is named: protocol, layout and digest of the data, and what the noise is called."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cut(data_root / "ferplus", tmp_path / "data/ferplus")
    as_files(read(tmp_path / "data/ferplus", partial=True), tmp_path / "own")
    for protocol in ("fer2013-real", str(tmp_path / "own/fer.toml")):
        words = ["run", "--protocol", protocol, "--method", "supervised", "--profile", "smoke", "--seeds", "1"]
        words += ["--data-root", str(tmp_path / "data"), "--out", str(tmp_path / "runs"), "--workers", "1", "--partial"]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output + result.stderr
    published, own = (record(tmp_path / "runs", name) for name in ("fer2013-real@1", "fer2013-files@1"))
    assert own["predictions"] == published["predictions"]
    # the published faces have votes beside their labels, which these files leave out
    assert own["epochs"] == [{n: v for n, v in line.items() if n != "fit_to_votes"} for line in published["epochs"]]
    assert len(np.load(next((tmp_path / "runs").rglob("predictions.npz")))["sample_id"]) == 200
    for part, differing in (("identity", {"protocol", "data"}), ("environment", {"noise"})):
        assert {name for name, value in own[part].items() if value != published[part][name]} == differing
    noise = own["environment"]["noise"], published["environment"]["noise"]
    assert noise[0]["realised"] > 0.1
    assert {name for name in noise[0] if noise[0][name] != noise[1][name]} == {"kind"}
