"""RAF-DB: classes numbered from 0 or in another order are refused, however complete a copy is."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.labels import RAFDB_CLASSES
from fernoise_bench.protocols.readers.rafdb import read
from fernoise_bench.protocols.readers.rafdb_class_order import COUNTS, refuse_other_order

from ..miniatures import rafdb as miniature

LIST = Path("EmoLabel/list_patition_label.txt")
ALPHABETICAL = [sorted(RAFDB_CLASSES).index(name) for name in RAFDB_CLASSES]
EXCHANGED = [0, 2, 1, 3, 4, 5, 6]  # fear and disgust


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(BadInput) as caught:
        act()
    message = str(caught.value)
    assert message.isprintable()
    return message


def obey(message: str) -> None:
    subprocess.run(message[message.rindex(": ") + 2 :], shell=True, check=True, capture_output=True)


def numbered(part: str, order: Sequence[int], share: float = 1.0) -> list[int]:
    """Labels with the published counts, of which a share is there, and other numbers for the classes."""
    counts = [round(share * count) for count in COUNTS[part]]
    return np.repeat(order, counts).tolist()


@pytest.mark.parametrize("part", COUNTS)
@pytest.mark.parametrize("order", [ALPHABETICAL, EXCHANGED, [6, 0, 1, 2, 3, 4, 5]])
def test_published_counts_in_another_order_are_refused(part: str, order: list[int], tmp_path: Path) -> None:
    refuse_other_order(tmp_path, {part: numbered(part, range(7))})
    message = refusal(lambda: refuse_other_order(tmp_path, {part: numbered(part, order)}))
    assert message.startswith(f"{tmp_path}: class ids in another order than the owners' (1 surprise, 2 fear, 3 disgust")
    assert ("they fit the alphabetical order, 1 anger, 2 disgust ... 7 surprise" in message) == (order == ALPHABETICAL)


def test_a_large_part_of_them_is_refused_too(tmp_path: Path) -> None:
    """As re-aligned copies, in which some faces were not found; a small or balanced subset says nothing."""
    message = refusal(lambda: refuse_other_order(tmp_path, {"train": numbered("train", ALPHABETICAL, 0.98)}))
    assert "(1,264 training rows have label 7 (neutral), published 2,524)" in message
    for fine in (
        numbered("train", range(7), 0.98),
        numbered("train", ALPHABETICAL, 0.05),
        np.repeat(range(7), 500).tolist(),
        np.repeat(range(6), 500).tolist(),
        [label for label in numbered("train", range(7)) if label != 6],
        [],
    ):
        refuse_other_order(tmp_path, {"train": fine})


def test_labels_from_0_without_the_first_class_are_refused(tmp_path: Path) -> None:
    """What is left of class folders 0 to 6 after folder 0 was removed: happiness would be read as disgust."""
    shifted = [label - 1 for label in numbered("train", range(7)) if label > 0]
    assert "another order than the owners'" in refusal(lambda: refuse_other_order(tmp_path, {"train": shifted}))


def test_a_whole_copy_with_alphabetical_ids_is_no_partial_one(tmp_path: Path) -> None:
    root = miniature.write_official(tmp_path)
    lines = [
        f"{part}_{number:0{5 if part == 'train' else 4}d}.jpg {label + 1}\n"
        for part in COUNTS
        for number, label in enumerate(numbered(part, ALPHABETICAL), 1)
    ]
    (root / LIST).write_text("".join(lines))
    assert "another order than the owners'" in refusal(lambda: read(root))


def test_class_folders_from_0_are_renamed_as_the_message_says(tmp_path: Path) -> None:
    before = read(miniature.write_class_folders(tmp_path))
    for part in ("train", "test"):
        for code in range(1, 8):
            (tmp_path / part / str(code)).rename(tmp_path / part / str(code - 1))
    message = refusal(lambda: read(tmp_path))
    what = "class folder '0' and no '7', so labels count from 0 and the owners' from 1"
    remedy = "rename 6 to 7, then 5 to 6 and so on to 0 to 1: "
    assert message.startswith(f"{tmp_path / 'train/0'}: {what}; {remedy}")
    obey(message)
    after = read(tmp_path)
    assert np.array_equal(after.path, before.path)
    assert np.array_equal(after.labels, before.labels)


def test_a_folder_0_beside_all_others_is_told(tmp_path: Path) -> None:
    (miniature.write_class_folders(tmp_path) / "train/0").mkdir()
    assert refusal(lambda: read(tmp_path)).endswith("class folder '0', not 1 to 7; rename it or move it away")


def test_a_list_from_0_is_mended_by_the_command(tmp_path: Path) -> None:
    before = read(miniature.write_official(tmp_path))
    miniature.write_list(tmp_path / LIST, [(name, code - 1) for name, code in miniature.SOME], "\r\n")
    message = refusal(lambda: read(tmp_path))
    assert ", line 1: label '0', so labels count from 0 and the owners' from 1; add 1 to each: awk " in message
    obey(message)
    assert np.array_equal(read(tmp_path).labels, before.labels)


def test_a_table_from_0_beside_class_folders(tmp_path: Path) -> None:
    root = miniature.write_kaggle(tmp_path)
    lines = [f"{name}_aligned.jpg,{code - 1}" for name, code in miniature.SOME if name.startswith("train")]
    (root / "train_labels.csv").write_text("\n".join(["image,label", *lines]) + "\n")
    message = refusal(lambda: read(root))
    assert message.endswith("label '0', so labels count from 0 and the owners' from 1; add 1 to each")
