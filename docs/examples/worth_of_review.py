"""What a label looked at is worth: corrects the most suspicious labels of FER2013, trains again, and writes accuracies.

python worth_of_review.py FOLDER worth.csv [WORKERS]. FER2013 and FER+ lie under FERNOISE_DATA; needs the extras
cleanlab and figures. A person who looks at a label is played by the majority of FER+'s votes: what it contradicts is
fixed, the rest is kept. Beside the table, a figure: worth.svg.
"""

import csv
import random
import shlex
import sys
from pathlib import Path
from statistics import fmean as mean

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from PIL import Image

import fernoise_bench as fb
from fernoise_bench.benchmark.cli import main
from fernoise_bench.results.plots.style import look, save_figure

SHARES = (0.05, 0.1, 0.2)  # of the training labels that are looked at
SEEDS, PARTS = 3, 4
JUDGES = ("supervised", "elr")  # in training
MODEL = "supervised"  # trained again on what was corrected
TOML = """
[protocol]
name = "fer2013"
kind = "expressions"
labels = {names}
[data]
table = "{table}"
pictures = "faces"
[data.columns]
path = "file"
given = "given"
reference = "reference"
split = "split"
[pictures]
side = 48
[split]
train = ["train"]
validation = ["validation"]
test = ["test"]
[profile.small]
train = "all"
validation = "all"
"""


def command(line):
    """Runs a command of fernoise-bench."""
    print(f"$ fernoise-bench {line}", flush=True)
    try:
        main(shlex.split(line))
    except SystemExit as ended:
        if ended.code:
            sys.exit(f"failed: {line}")


def write_faces(folder, data):
    """The pictures and the table of given and reference labels; by picture, its reference."""
    (folder / "faces").mkdir(parents=True, exist_ok=True)
    right = {}
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "given", "reference", "split"])
        for split, rows in (("train", data.train), ("validation", data.validation), ("test", data.test)):
            for number, picture in enumerate(rows.images):
                name = f"{split}{number:05d}.png"
                Image.fromarray(picture.squeeze()).save(folder / "faces" / name)
                label = rows.reference[number]
                right[name] = data.names[label] if label >= 0 else ""
                table.writerow([name, data.names[rows.given[number]], right[name], split])
    write_toml(folder, data.names, "labels")
    return right


def write_toml(folder, names, table):
    """A protocol of the pictures with one of the tables."""
    listed = "[" + ", ".join(f'"{name}"' for name in names) + "]"
    (folder / f"{table}.toml").write_text(TOML.format(names=listed, table=f"{table}.csv"))


def lines(file):
    """The rows of a table."""
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def by_cleanlab(folder, runs, names):
    """The pictures in cleanlab's order, from the mean predictions of models that did not train on them."""
    total = {}
    for record in fb.load_records(runs).select(protocol="fer2013:held-out"):
        with np.load(runs / record.folder / "predictions.npz") as found:
            for row, p in zip(found["sample_id"].tolist(), found["last"], strict=True):
                total[row] = total.get(row, 0) + p.astype(float) / SEEDS
    rows = sorted(total)
    table = lines(folder / "labels.csv")  # a row's number is its place in the table
    given = np.array([names.index(table[row]["given"]) for row in rows])
    p = np.stack([total[row] for row in rows])
    issues = find_label_issues(given, p, return_indices_ranked_by="normalized_margin")
    rest = np.argsort(get_label_quality_scores(given, p, method="normalized_margin"), kind="stable")
    return [table[rows[at]]["file"] for at in dict.fromkeys([*issues.tolist(), *rest.tolist()])]


def rankings(folder, runs, names, workers):
    """Pictures of the training rows by how the labels to look at are chosen, the first ones first."""
    search = f"label-errors {folder}/labels.toml --profile small --seeds {SEEDS} --runs {runs} --workers {workers}"
    found = {}
    for judge in JUDGES:
        command(f"{search} --method {judge} --out {folder}/{judge}.csv")
        found[f"{judge}, in training"] = [line["path"] for line in lines(folder / f"{judge}.csv")]
    command(f"{search} --method {MODEL} --out-of-sample --parts {PARTS} --out {folder}/held-out.csv")
    found[f"{MODEL}, out of sample"] = [line["path"] for line in lines(folder / "held-out.csv")]
    found["cleanlab, out of sample"] = by_cleanlab(folder, runs, names)
    found["at random"] = sorted(found[f"{MODEL}, out of sample"])
    random.Random(0).shuffle(found["at random"])
    return found


def review(folder, order, count, right, name):
    """Looks at the first labels of an order, and writes the corrected table and its protocol; how many it fixed."""
    given = {line["file"]: line["given"] for line in lines(folder / "labels.csv")}
    decisions = folder / f"{name}-decisions.csv"
    with decisions.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["path", "given", "decision", "label"])
        for path in order[:count]:
            decision = "unsure" if not right[path] else "keep" if right[path] == given[path] else "fix"
            table.writerow([path, given[path], decision, right[path]])
    command(f"data apply {decisions} --protocol {folder}/labels.toml --out {folder}/{name}.csv")
    return sum(right[path] not in ("", given[path]) for path in order[:count])


def accuracy(folder, table, names, workers):
    """Accuracies in % of the models trained with a table of labels, one a seed."""
    write_toml(folder, names, table)
    runs = folder / "runs" / table
    command(
        f"run --protocol {folder}/{table}.toml --method {MODEL} --profile small --seeds {SEEDS} --out {runs} "
        f"--workers {workers}"
    )
    return [
        100 * record.scores["last"].headline
        for record in fb.load_records(runs).select(protocol="fer2013", method=MODEL)
    ]


def draw(table, figure):
    """The accuracies of a table as curves over the number of labels looked at."""

    def fill(canvas):
        axes = canvas.subplots()
        rows = lines(table)
        values = [[float(row[f"seed {seed}"]) for seed in range(SEEDS)] for row in rows]
        start = mean(values[0])
        for number, how in enumerate(dict.fromkeys(row["looked at by"] for row in rows[1:])):
            mine = [at for at, row in enumerate(rows) if row["looked at by"] == how]
            looked = [0, *(int(rows[at]["labels looked at"]) for at in mine)]
            axes.plot(looked, [start, *(mean(values[at]) for at in mine)], marker="o", label=how, **look(number))
        axes.set_xlabel("training labels looked at")
        axes.set_ylabel("test accuracy in %")
        axes.legend(frameon=False)

    save_figure(figure, (7, 4.2), fill)


def run(folder, out, workers):
    """Writes the table of accuracies."""
    data = fb.open_protocol("fer2013-real", profile="small")
    right = write_faces(folder, data)
    count = len(data.train)
    rows = [["none", 0, 0, *accuracy(folder, "labels", data.names, workers)]]
    for at, (how, order) in enumerate(rankings(folder, folder / "runs" / "labels", data.names, workers).items()):
        assert len(order) == count
        for share in SHARES:
            looked = int(share * count + 0.5)
            fixed = review(folder, order, looked, right, name := f"review{at}-{looked}")
            rows.append([how, looked, fixed, *accuracy(folder, name, data.names, workers)])
    with out.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["looked at by", "labels looked at", "labels fixed", *(f"seed {seed}" for seed in range(SEEDS))])
        table.writerows([*row[:3], *(f"{value:.2f}" for value in row[3:])] for row in rows)
    draw(out, out.with_suffix(".svg"))


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
