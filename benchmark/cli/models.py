"""`predict` and `export`: use the weights that a run has kept."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...protocols.activity import doing
from .options.common import DEVICE, JSON, print_json

if TYPE_CHECKING:
    from ..models.model import TrainedModel
    from ..models.packages import Format

WEIGHTS = click.argument("weights", type=click.Path(path_type=Path), metavar="WEIGHTS|TRIAL")
METHOD = click.option(
    "--method", metavar="FILE.py:CLASS", help="The method's own file, where it is no part of this package."
)


@click.command()
@WEIGHTS
@click.argument("pictures", type=click.Path(path_type=Path), metavar="PICTURE|FOLDER|CSV")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("predictions.csv"), show_default=True,
    metavar="FILE", help="CSV file to write: a row a picture.",
)  # fmt: skip
@click.option(
    "--align", is_flag=True, help="Find the face in each picture and align it, for raw frames; needs the extra [align]."
)
@METHOD
@DEVICE
def predict(weights: Path, pictures: Path, out: Path, align: bool, method: str | None, device: str) -> None:
    """Predict expressions or action units of pictures.

    WEIGHTS is a file that `run --keep-weights last` has written, or its trial's folder. A CSV lists pictures in a
    column `path`, relative to the CSV. The table has the probability of each class or AU; a picture that cannot be read
    has its problem there instead, and exit code 1. Run the same command again to continue an interrupted one.

    \b
    fernoise-bench predict weights-last.safetensors photo.jpg
    fernoise-bench predict weights-last.safetensors photos/ --out predictions.csv
    """
    from ..models.picture_list import check_table, pictures_of

    check_table(out, [weights, pictures])
    asked = pictures_of(pictures)
    model = _model(weights, method, device)
    from ..models.prediction import predict_pictures
    from ..progress import Counter

    with contextlib.closing(Counter("pictures")) as counter:
        bad = predict_pictures(model, asked, out, align=align, report=counter, warn=_warn)
    good = len(asked.names) - bad
    click.echo(f"{out}: {good:,} picture{'s' * (good != 1)}, {_told(model)}", err=True)
    if bad:
        click.echo(f"not read: {bad:,}, named above and in the column 'problem'", err=True)
    sys.exit(1 if bad else 0)


@click.command()
@WEIGHTS
@click.option("--to", type=click.Choice(["onnx", "torchscript"]), required=True, help="Format of the file.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE", help="File to write."
)
@METHOD
@JSON
def export(weights: Path, to: Format, out: Path, method: str | None, as_json: bool) -> None:
    """Export a trained model, with normalisation inside, and check it by running it.

    The model takes images float32 [N, 3, side, side] in [0, 1] and returns probabilities [N, classes or AUs]. ONNX
    needs the extra [export].

    \b
    fernoise-bench export weights-last.safetensors --to onnx --out model.onnx
    fernoise-bench export weights-last.safetensors --to torchscript --out model.pt
    """
    from ..models.packages import check_packages
    from ..models.picture_list import check_output

    check_packages(to)
    check_output(out, [weights])
    with doing("loading PyTorch"):
        from ..models.export import export as write
    model = _model(weights, method, "cpu")
    with doing(f"exporting to {to}, and checking it"):
        found = write(model, to, out)
    side = model.card.pictures.crop
    if as_json:
        about = {"file": str(out), "bytes": found.size, "opset": found.opset, "difference": found.difference}
        print_json({**about, "input": ["N", 3, side, side], "output": ["N", len(model.names)], "names": model.names})
        return
    opset = "" if found.opset is None else f", opset {found.opset}"
    click.echo(f"{out}: {to}{opset}, {found.size / 2**20:.1f} MiB, {_told(model)}")
    click.echo(f"input: images float32 [N, 3, {side}, {side}], RGB in [0, 1]")
    click.echo(f"output: probabilities float32 [N, {len(model.names)}]: {', '.join(model.names)}")
    click.echo(f"checked: probabilities differ from the model's by {found.difference:.1g} at most")


def _model(weights: Path, method: str | None, device: str) -> TrainedModel:
    with doing("loading PyTorch"):
        from ..models.model import load_model
        from ..settings import choose_device

    return load_model(weights, method, choose_device(device))


def _told(model: TrainedModel) -> str:
    card = model.card
    score = "" if card.scores.test is None else f", test {card.scores.metric} {100 * card.scores.test:.1f} %"
    return f"{card.method} on {card.protocol} ({card.source} faces), epoch {card.scores.epoch}{score}"


def _warn(line: str) -> None:
    click.echo(line, err=True)
