from __future__ import annotations

import json

import pytest

from fernoise_bench.results.records.record import load_records
from fernoise_bench.results.records.schema import wrong_counts, wrong_field, wrong_identity

from ..fabricate import Trial, fabricate

WRONG = [
    ("identity.json", ("seed",), ["x"], "seed is not a whole number from 0 on"),
    ("identity.json", ("fold",), 0, "fold is not a text that says something"),
    ("identity.json", ("level",), "=cmd", "level is not a number from 0 to 1"),
    ("identity.json", ("level",), True, "level is not a number from 0 to 1"),
    ("identity.json", ("profile",), {}, "profile is not one of paper, small, smoke"),
    ("identity.json", ("source",), 0, "source is not one of real, generated"),
    ("identity.json", ("protocol", "name"), [[1]], "protocol.name is not a text that says something"),
    ("identity.json", ("settings",), 7, "settings is not an object"),
    ("environment.json", ("unstated",), -1, "unstated is not a list"),
    ("environment.json", ("teachers",), None, "teachers is not a list"),
    ("environment.json", ("teachers",), [{"name": "a", "id": "b"}], "teachers[0] lacks seconds"),
    ("environment.json", ("views",), "", "views is not a whole number from 0 on"),
    ("environment.json", ("rows_per_epoch",), 0, "rows_per_epoch is not a whole number from 1 on"),
    ("environment.json", ("noise",), [], "noise is not an object"),
    ("status.json", ("peak_memory_mb",), [[1]], "peak_memory_mb is not a number from 0 on"),
    ("status.json", ("best",), None, "best is not an object"),
    ("epochs.jsonl", ("compute", "backwards"), "x", "line 1: compute.backwards is not a whole number from 0 on"),
    ("epochs.jsonl", ("audit", "recovered"), "nan", "line 1: audit.recovered is not a whole number from 0 on"),
    ("epochs.jsonl", ("audit",), {"entries": 3}, "line 1: audit has entries and lacks wrong"),
    ("epochs.jsonl", ("audit_by_class",), {"wrong": [1]}, "line 1: audit_by_class.wrong is not a list of 4"),
    ("epochs.jsonl", ("test", "confusion"), [[1, 2]], "confusion is not 4 × 4 counts"),
]


def put(file, path, value):
    """Puts a value into a field of the first document of a file."""
    text = file.read_text()
    documents = [json.loads(each) for each in (text.splitlines() if file.suffix == ".jsonl" else [text])]
    content = documents[0]
    for name in path[:-1]:
        content = content[name]
    content[path[-1]] = value
    file.write_text("".join(f"{json.dumps(document)}\n" for document in documents))


@pytest.mark.parametrize(("name", "path", "value", "told"), WRONG)
def test_a_field_that_holds_something_else_is_named(tmp_path, name, path, value, told):
    folder = fabricate(tmp_path, Trial())
    put(folder / name, path, value)
    records, (message,) = load_records(tmp_path)
    assert records == []
    assert message.startswith(f"{folder} is damaged ({name}")
    assert told in message


def test_a_number_too_large_to_be_finite_is_no_number(tmp_path):
    folder = fabricate(tmp_path, Trial())
    file = folder / "environment.json"
    file.write_text(file.read_text().replace('"networks": 1', '"networks": 1e999'))
    _, (message,) = load_records(tmp_path)
    assert "environment.json cannot be read or is damaged (1e999 is no finite number)" in message


def test_what_is_sound_passes_and_what_is_unknown_may_be_anything():
    trial = Trial()
    assert wrong_identity({**trial.identity, "later": [{"more": None}]}) == ""
    assert wrong_field({"state": "interrupted"}, {}, ()) == ""
    assert wrong_counts([{"confusion": [[1, 2], [3, 4]], "confusion_without_copies": None}], (2, 2)) == ""


@pytest.mark.parametrize("counts", [[[1, 2], [3]], [[1, 2], [3, -4]], [[1, 2], [3, 0.5]], [[1, 2], [3, 2**60]], [], 1])
def test_counts_are_whole_and_of_their_shape(counts):
    assert wrong_counts([{"confusion": counts}], (2, 2)) == "epochs.jsonl: confusion is not 2 × 2 counts"
