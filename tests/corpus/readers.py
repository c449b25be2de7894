"""Miniature data sets, the file of each that is damaged, and the damage that is known to do no harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..protocols.miniatures import affectnet as miniature_affectnet
from ..protocols.miniatures import bp4d as miniature_bp4d
from ..protocols.miniatures import cremad as miniature_cremad
from ..protocols.miniatures import disfa as miniature_disfa
from ..protocols.miniatures import emotionet as miniature_emotionet
from ..protocols.miniatures import ferplus as miniature_ferplus
from ..protocols.miniatures import rafdb as miniature_rafdb
from .damages import BYTES, TEXT, Damage

UNUSED = ("a huge number", "an endless number", "a negative number", "not a number", "a quote that never closes")
NAMED = ("a name out of the folder", "an absolute name", "a look-alike name")


@dataclass(frozen=True)
class Target:
    """A file of a miniature data set.

    Attributes:
        dataset: its folder under the data root.
        write: writes the miniature.
        file: what is damaged.
        damages: how.
        unharmed: damages after which it reads as before, since what they change is not read.
        counted: damages that `verify` counts as a difference from the published set.
    """

    dataset: str
    write: Callable[[Path], object]
    file: str
    damages: Mapping[str, Damage] = field(default_factory=lambda: TEXT)
    unharmed: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()


def write_cremad(root: Path) -> Path:
    """Without pictures, which no damage of a table concerns."""
    return miniature_cremad.write(root, picture=None)


TARGETS = (
    # The last number of a line is that of an action unit nobody coded.
    Target("bp4d", miniature_bp4d.write_au_occ, "AUCoding/AU_OCC/F001_T1.csv", unharmed=UNUSED),
    Target("bp4d", miniature_bp4d.write_from_0, "fernoise.toml"),
    Target("rafdb", miniature_rafdb.write_official, "EmoLabel/list_patition_label.txt"),
    Target("rafdb", miniature_rafdb.write_kaggle, "test_labels.csv"),
    Target("disfa", miniature_disfa.write_img, "ActionUnit_Labels/SN001/SN001_au1.txt", counted=("not a number",)),
    # The last number of a line is a mean, which is not read.
    Target(
        "cremad",
        write_cremad,
        "processedResults/tabulatedVotes.csv",
        unharmed=("a huge number", "an endless number", "a negative number", "not a number"),
    ),
    Target(
        "emotionet",
        miniature_emotionet.write_both,
        "EmotioNet_FACS_aws_2020_24600.csv",
        unharmed=(*UNUSED, "look-alike digits"),
        counted=(*NAMED, "the last line twice"),
    ),
    Target(
        "emotionet",
        miniature_emotionet.write_both,
        "emotioNet_challenge_files_server_challenge_1.2_aws/dataFile_0001.txt",
        unharmed=(*UNUSED, "look-alike digits"),
        counted=(*NAMED, "the first line twice", "the last line twice"),
    ),
    # The last number is the arousal, which only tells whether a row has one.
    Target(
        "affectnet",
        miniature_affectnet.write_csv,
        "Manually_Annotated_file_lists/training.csv",
        unharmed=("a huge number", "an endless number", "not a number", "a quote that never closes"),
        counted=("a negative number", "the first line twice", "the last line twice"),
    ),
    Target("affectnet", miniature_affectnet.write_2021, "train_set/annotations/7_exp.npy", BYTES, counted=tuple(BYTES)),
    Target("ferplus", miniature_ferplus.write_tables, "fer2013.csv"),
    Target("ferplus", miniature_ferplus.write_tables, "fer2013new.csv"),
)
