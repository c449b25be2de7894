"""Writes faces as PNG files with a table of labels, some of them wrong: python faces_as_files.py lab [--real]

Generated faces; with --real, 2,000 pictures of FER2013 with FER+'s labels beside, from FERNOISE_DATA or data/.
"""

import csv
import sys
from pathlib import Path

from PIL import Image

import fernoise_bench as fb
from fernoise_bench.protocols.faces.generate import FaceSpecification, faces
from fernoise_bench.protocols.noise import symmetric

CLASSES = ("neutral", "happiness", "surprise", "sadness")
PEOPLE = tuple(f"person{number:02d}" for number in range(30))


def generated():
    """600 faces of thirty people, a fifth of the labels wrong: the names of columns, then picture and cells of each."""
    made = faces(FaceSpecification(600, size=48, subjects=PEOPLE, content="expressions", expressions=CLASSES), seed=0)
    given = symmetric(made.expressions, 0.2, len(CLASSES), seed=0)
    cells = ((CLASSES[label], person) for label, person in zip(given, made.subjects, strict=True))
    return ["emotion", "person"], zip(made.images, cells, strict=True)


def real():
    """1,500 training and 500 test pictures, labelled by FER2013; the reference is the majority of FER+'s votes."""
    data = fb.open_protocol("fer2013-real", profile="small")
    found = []
    for split, rows, count in (("train", data.train, 1_500), ("test", data.test, 500)):
        for picture, given, reference in zip(rows.images[:count], rows.given, rows.reference, strict=False):
            found.append(
                (picture.squeeze(), (data.names[given], data.names[reference] if reference >= 0 else "", split))
            )
    return ["emotion", "reference", "split"], found


folder = Path(sys.argv[1])
columns, rows = real() if "--real" in sys.argv else generated()
(folder / "faces").mkdir(parents=True, exist_ok=True)
with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["file", *columns])
    for number, (picture, cells) in enumerate(rows):
        name = f"faces/{number:03d}.png"
        Image.fromarray(picture).save(folder / name)
        table.writerow([name, *cells])
