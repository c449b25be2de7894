"""Bad input: one line on stderr that names the thing and what to do, exit code 2, nothing written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.engines.options import default_workers
from fernoise_bench.benchmark.registry import names
from fernoise_bench.benchmark.settings import apply_to_process, check_precision
from fernoise_bench.protocols.catalog import PROTOCOLS
from fernoise_bench.protocols.datasets.catalog import listing_of
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.packs.prepare import prepare
from fernoise_bench.results.papers.figures import DRAWINGS, FIGURES

from ...protocols.miniatures import bp4d as miniature_bp4d
from ...toy import toy_trial

SMOKE = ("--synthetic", "--profile", "smoke", "--out", "runs")
FACES = ("run", "--protocol", "ferplus-sym", *SMOKE)
AUS = ("run", "--protocol", "bp4d-3fold", *SMOKE)
EVERY = "--all-methods"

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command that must be refused in tmp_path and returns the line it says; nothing may have been written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FERNOISE_DATA", raising=False)

    def run(*arguments: str) -> str:
        before = contents(tmp_path)
        with pytest.raises(SystemExit) as ended:
            main(arguments, prog_name="fernoise-bench")
        out, err = capsys.readouterr()
        assert ended.value.code == 2
        assert out == ""
        assert err.endswith("\n")
        assert err.count("\n") == 1
        assert err.startswith("fernoise-bench: ")
        assert contents(tmp_path) == before
        return err.removeprefix("fernoise-bench: ").rstrip("\n")

    return run


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder below a folder, Python's caches aside."""
    paths = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return {str(path): path.read_bytes() if path.is_file() else None for path in paths}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--protocol", "bp4d-3fol", EVERY, *SMOKE), "unknown protocol 'bp4d-3fol': did you mean bp4d-3fold"),
        (("plan", "--protocol", "fer2013", EVERY), "unknown protocol 'fer2013': did you mean fer2013-real"),
        (("table", "ferplus-sim"), "unknown table or protocol 'ferplus-sim': did you mean ferplus-sym"),
        (
            ("figure", "nonsense", "--out", "curves.svg"),
            f"unknown figure or protocol 'nonsense': known: {', '.join(sorted([*FIGURES, *DRAWINGS, *PROTOCOLS]))}",
        ),
        (("show", "protocol", "bp4d"), "unknown protocol 'bp4d': did you mean bp4d-3fold?"),
        ((*AUS, "--method", "supervized"), "unknown method 'supervized': did you mean supervised?"),
        ((*AUS, "--method", "xyz"), f"unknown method 'xyz': known: {', '.join(sorted(names()))}"),
        ((*AUS, "--method", "recot:no-tlrr"), "unknown variant of recot 'no-tlrr': did you mean no-tlr"),
        ((*AUS, EVERY, "--without", "recott"), "unknown method 'recott': did you mean recot"),
        (("show", "method", "cocurring"), "unknown method 'cocurring': did you mean cocuring"),
    ],
)
def test_unknown_names_come_with_the_nearest(arguments: Sequence[str], message: str, refused: Refused) -> None:
    assert refused(*arguments).startswith(message)


@pytest.mark.parametrize("value", ["1", "1.5", "-0.1", "nan", "inf", "0.2,1"])
def test_noise_outside_its_range(value: str, refused: Refused) -> None:
    assert refused(*FACES, EVERY, "--noise", value).endswith(": a noise level lies in [0, 1)")


@pytest.mark.parametrize("value", ["much", "0.2,", "0.2;0.4", "20%"])
def test_noise_that_is_no_number(value: str, refused: Refused) -> None:
    expected = f"--noise {value}: expected numbers separated by commas, as in 0.2,0.4"
    assert refused(*FACES, EVERY, "--noise", value) == expected


def test_a_level_the_protocol_does_not_have(refused: Refused) -> None:
    message = refused(*FACES, EVERY, "--noise", "0.25")
    assert message == "--noise 0.25: ferplus-sym has the levels 0.0, 0.1, 0.2, 0.3, 0.4"


def test_a_level_where_the_noise_has_none(refused: Refused) -> None:
    message = refused(*AUS, EVERY, "--noise", "0.2")
    assert message == "--noise: the noise of bp4d-3fold has no level (labelled by a teacher); leave --noise out"


@pytest.mark.parametrize("fold", ["4", "0", "part4", "part1,part9"])
def test_a_fold_that_does_not_exist(fold: str, refused: Refused) -> None:
    assert refused(*AUS, EVERY, "--fold", fold).endswith(": bp4d-3fold has the folds part1, part2, part3")


def test_a_fold_of_a_protocol_without_folds(refused: Refused) -> None:
    expected = "--fold 1: ferplus-sym has one fixed split; leave --fold out"
    assert refused(*FACES, EVERY, "--fold", "1") == expected


@pytest.mark.parametrize("seeds", ["0", "-3"])
def test_too_few_seeds(seeds: str, refused: Refused) -> None:
    assert refused(*FACES, EVERY, "--seeds", seeds) == f"--seeds {seeds}: at least one seed is needed"


def test_no_method_named(refused: Refused) -> None:
    assert "--method NAME" in refused(*FACES)


def test_every_method_left_out(refused: Refused) -> None:
    message = refused(*FACES, "--all-methods", *(part for name in names() for part in ("--without", name)))
    assert message == "--without leaves no method to run on ferplus-sym"


@pytest.mark.parametrize(
    ("grid", "method", "message"),
    [
        (FACES, "recot", "--method recot is not applicable to ferplus-sym: it needs action unit labels"),
        (AUS, "cocuring", "--method cocuring is not applicable to bp4d-3fold: it needs one label a face"),
        (
            FACES,
            "supervised:clean",
            "--method supervised:clean is not applicable to ferplus-sym: it needs verified rows",
        ),
    ],
)
def test_a_method_of_the_wrong_kind(grid: Sequence[str], method: str, message: str, refused: Refused) -> None:
    assert refused(*grid, "--method", method) == message


# --- devices


def test_a_device_that_is_not_there(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    expected = "--device cuda: torch sees no CUDA device here; use --device cpu"
    assert refused(*FACES, EVERY, "--device", "cuda") == expected


@pytest.mark.parametrize(("first", "second", "has"), [((8, 0), (9, 0), True), ((9, 0), (7, 0), False)])
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_arithmetic_that_a_gpu_here_lacks(
    precision: str, first: tuple[int, int], second: tuple[int, int], has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A V100 (7.0) beside an H100 (9.0): torch would compute in fp32, or imitate bf16, in silence."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: (first, second)[number])
    check_precision("fp32", "cuda")
    check_precision(precision, "cuda", here=False)
    if has:
        check_precision(precision, "cuda")
        return
    message = f"--precision {precision}: a GPU of this machine has no {precision} arithmetic; use fp32"
    with pytest.raises(BadInput, match=message):
        check_precision(precision, "cuda")
    trial = toy_trial("supervised", Path())
    with pytest.raises(BadInput, match=message):  # on another machine, where the trial runs
        apply_to_process(replace(trial.job.settings, device="cuda", precision=precision))


def test_tf32_without_cuda(refused: Refused) -> None:
    message = refused(*FACES, EVERY, "--device", "cpu", "--precision", "tf32")
    assert message == "--precision tf32 is a mode of CUDA devices; use fp32 or bf16 on the CPU"


def test_compiling_without_a_compiler(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    message = refused(*FACES, EVERY, "--device", "cpu", "--compile")
    assert message == "--compile needs a C++ compiler on the CPU: install g++, or leave --compile out"


# --- data


@pytest.mark.parametrize("profile", ["paper", "small"])
@pytest.mark.parametrize("protocol", ["ferplus-sym", "fer2013-real"])
def test_faces_that_are_absent(protocol: str, profile: str, refused: Refused) -> None:
    """Named before the pre-trained weights that are absent too."""
    arguments = ("run", "--protocol", protocol, EVERY, "--profile", profile, "--data-root", "nowhere", "--out", "runs")
    message = refused(*arguments)
    assert message.startswith("FER2013 and FER+: no fer2013.csv")
    assert f"in {Path('nowhere/ferplus')}" in message
    assert "github.com/microsoft/FERPlus" in message
    assert "--synthetic" in message


def test_aus_that_are_absent(refused: Refused, tmp_path: Path) -> None:
    arguments = ("run", "--protocol", "bp4d-3fold", EVERY, "--data-root", str(tmp_path), "--out", "runs")
    message = refused(*arguments)
    assert message.startswith(f"BP4D: nothing usable in {tmp_path / 'bp4d'} (")
    assert "ask for it at Binghamton" in message
    assert "--synthetic" in message
    miniature_bp4d.write_au_occ(tmp_path / "bp4d")
    message = refused(*arguments)
    assert message.startswith(f"bp4d-3fold reads {tmp_path / 'packs/bp4d-240'}, which does not exist yet: ")
    assert f"fernoise-bench data prepare bp4d --side 240 --align --data-root {tmp_path}" in message
    prepare(listing_of("bp4d", tmp_path), tmp_path / "packs", 240, workers=1, skip_bad=False, report=lambda *_: None)
    assert "made from a copy that differs from the published bp4d" in refused(*arguments)
    message = refused(*arguments, "--partial")
    assert message.startswith(f"emotionet: nothing usable in {tmp_path / 'emotionet'} (")
    assert "--synthetic" in message


def test_plan_says_the_same_of_absent_data(refused: Refused) -> None:
    message = refused("plan", "--protocol", "ferplus-sym", EVERY, "--profile", "small", "--data-root", "nowhere")
    assert message.startswith("FER2013 and FER+: no fer2013.csv")


HEADER = "emotion,pixels,Usage"
VOTES_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
FACE = f"0,{' '.join(['7'] * 2304)},Training"
VOTES = "Training,fer0000000.png,10,0,0,0,0,0,0,0,0,0"


def tables(folder: Path, faces: Sequence[str], votes: Sequence[str]) -> None:
    folder.mkdir(parents=True)
    (folder / "fer2013.csv").write_text("\n".join([HEADER, *faces, ""]))
    (folder / "fer2013new.csv").write_text("\n".join([VOTES_HEADER, *votes, ""]))


@pytest.mark.parametrize(
    ("faces", "votes", "message"),
    [
        ([FACE] * 3, [VOTES] * 2, "3 rows in fer2013.csv, 2 in fer2013new.csv"),
        ([FACE, FACE[:4000]], [VOTES] * 2, "fer2013.csv, line 3"),
        ([FACE, "7" + FACE[1:]], [VOTES] * 2, "label '7'"),
        ([FACE, FACE.replace(" 7 7,", " 7 777,")], [VOTES] * 2, "777"),
        ([FACE], [VOTES.replace(",10,", ",11,")], "fer2013new.csv, line 2"),
        ([FACE] * 3, [VOTES] * 3, "not the published data, 3 / 0 / 0 rows"),
        ([], [], "a header and no rows"),
    ],
    ids=["another length", "truncated", "label", "pixel", "votes", "altered", "empty"],
)
def test_tables_that_are_damaged_or_altered(
    faces: Sequence[str], votes: Sequence[str], message: str, refused: Refused, tmp_path: Path
) -> None:
    tables(tmp_path / "data" / "ferplus", faces, votes)
    arguments = ("run", "--protocol", "ferplus-sym", EVERY, "--profile", "small", "--out", "runs")
    assert message in refused(*arguments, "--data-root", "data")


def test_a_layout_that_is_not_read(refused: Refused, tmp_path: Path) -> None:
    """Class folders, as some copies on the web have them."""
    (tmp_path / "data" / "ferplus" / "train" / "angry").mkdir(parents=True)
    arguments = ("run", "--protocol", "fer2013-real", EVERY, "--profile", "small", "--out", "runs")
    message = refused(*arguments, "--data-root", "data")
    assert message.startswith("FER2013 and FER+: no fer2013.csv (nor icml_face_data.csv, nor FER2013Train")


# --- weights


def test_a_checkpoint_of_the_wrong_kind(refused: Refused, tmp_path: Path) -> None:
    deeper, text = tmp_path / "deeper.pth", tmp_path / "text.pth"
    torch.save(timm.create_model("resnet34").state_dict(), deeper)
    text.write_text("not a checkpoint\n")
    paper = ("run", "--protocol", "ferplus-sym", EVERY, "--synthetic", "--profile", "paper", "--out", "runs")
    assert refused(*paper, "--weights", str(deeper)).startswith("deeper.pth: its keys are neither a ResNet-18's nor ")
    assert refused(*paper, "--weights", str(text)).startswith("text.pth: not a checkpoint that can be loaded safely")
    assert refused(*paper, "--weights", "absent.pth").startswith("--weights absent.pth: no such file")


def test_pretrained_weights_that_are_absent(refused: Refused) -> None:
    paper = ("run", "--protocol", "ferplus-sym", EVERY, "--synthetic", "--profile", "paper", "--out", "runs")
    message = refused(*paper)
    assert "MS-Celeb-1M" in message
    assert "--weights none" in message


def test_pretrained_weights_that_the_profile_has_no_use_for(refused: Refused) -> None:
    assert refused(*FACES, EVERY, "--weights", "imagenet").startswith("--weights imagenet: this profile's encoder")


def test_imagenet_weights_that_cannot_be_fetched(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(timm, "create_model", fail)
    paper = ("run", "--protocol", "bp4d-3fold", EVERY, "--synthetic", "--profile", "paper", "--out", "runs")
    message = refused(*paper)
    assert message.startswith("ImageNet weights for resnet34 could not be downloaded (Name or service not known): ")


# --- the output folder


@pytest.mark.parametrize("out", ["taken", "taken/below"])
def test_an_output_folder_that_is_a_file(out: str, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    message = refused("run", "--protocol", "ferplus-sym", EVERY, *SMOKE[:-1], out)
    assert message.startswith(f"--out {out}: ")
    assert message.endswith("taken is a file or a broken link, not a folder; choose another folder")


def test_an_output_folder_that_is_a_broken_link(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    message = refused("run", "--protocol", "ferplus-sym", EVERY, *SMOKE[:-1], "link")
    assert message.endswith("link is a file or a broken link, not a folder; choose another folder")


@pytest.mark.parametrize("out", ["runs", "runs/deep/below"])
def test_an_output_folder_that_is_not_writable(
    out: str, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def refuse(path: Any, mode: int) -> bool:
        asked.append(Path(path).absolute())
        return not mode & os.W_OK

    monkeypatch.setattr(os, "access", refuse)
    message = refused("run", "--protocol", "ferplus-sym", EVERY, *SMOKE[:-1], out)
    assert message == f"--out {out}: {tmp_path} is not writable; choose another folder"
    assert [path for path in asked if tmp_path in (path, *path.parents)] == [tmp_path]


# --- a user's method file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name", "does not import: ModuleNotFoundError: No module named"),
        ("class Mine(:", "does not import: SyntaxError"),
        ("import sys; sys.exit(0)", "does not import: SystemExit"),
        ("", "unknown class in "),
        ("class Mine: ...", "Mine is not a Method; derive it from fernoise_bench.methods.base.Method"),
        (
            "from fernoise_bench.methods.base import Method\n\n\nclass Mine(Method):\n"
            "    needs = frozenset({'single'})\n\n    def predict(self, images): ...\n",
            "Mine lacks loss(); see CONTRIBUTING.md",
        ),
    ],
    ids=["import", "syntax", "exit", "empty", "no method", "no loss"],
)
def test_a_method_file_that_cannot_be_used(text: str, message: str, refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    said = refused(*FACES, "--method", f"{path}:Mine")
    assert message in said
    assert str(path) in said


def test_a_method_file_that_is_absent(refused: Refused) -> None:
    assert refused(*FACES, "--method", "mine.py:Mine").endswith("mine.py: no such file")


# --- tables and figures


@pytest.mark.parametrize(
    "arguments",
    [("table", "ferplus-sym"), ("table", "ferplus-sym", "--long"), ("figure", "ferplus-sym", "--out", "curves.svg")],
    ids=["table", "long", "figure"],
)
def test_a_table_or_figure_without_records(arguments: Sequence[str], refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    message = refused(*arguments, "--runs", "runs")
    command = "fernoise-bench run --protocol ferplus-sym --all-methods"
    assert message == f"no records of ferplus-sym in runs; make them with: {command} --out runs"
    message = refused(*arguments, "--profile", "smoke", "--synthetic")
    assert message == (
        "no records of ferplus-sym in fernoise-runs that fit --profile smoke --synthetic; make them with: "
        f"{command} --profile smoke --synthetic"
    )


def test_status_without_records_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(("status", "--runs", str(tmp_path / "runs")), prog_name="fernoise-bench")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"no trials in {tmp_path / 'runs'}\n"


@pytest.mark.parametrize("gpus", [0, 1, 4])
def test_workers_are_the_cores_or_the_gpus(gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert default_workers("cuda") == max(1, gpus)
    assert 1 <= default_workers("cpu") <= (os.cpu_count() or 1)
