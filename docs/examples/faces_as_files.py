"""Writes generated faces as PNG files with a table of labels, some of them wrong: python faces_as_files.py lab"""

import csv
import sys
from pathlib import Path

from PIL import Image

from fernoise_bench.protocols.faces.generate import FaceSpecification, faces
from fernoise_bench.protocols.noise import symmetric

CLASSES = ("neutral", "happiness", "surprise", "sadness")
PEOPLE = tuple(f"person{number:02d}" for number in range(30))

folder = Path(sys.argv[1])
made = faces(FaceSpecification(600, size=48, subjects=PEOPLE, content="expressions", expressions=CLASSES), seed=0)
given = symmetric(made.expressions, 0.2, len(CLASSES), seed=0)
(folder / "faces").mkdir(parents=True, exist_ok=True)
with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["file", "emotion", "person"])
    for number, picture in enumerate(made.images):
        Image.fromarray(picture).save(folder / "faces" / f"{number:03d}.png")
        table.writerow([f"faces/{number:03d}.png", CLASSES[given[number]], made.subjects[number]])
