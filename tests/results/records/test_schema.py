from __future__ import annotations

import json

import msgspec
import pytest

from fernoise_bench.protocols import files
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.records.record import flip_rates_of, load_record, load_records, transition_error_of
from fernoise_bench.results.records.schema import Best, Environment, Identity, Status, identity_of
from fernoise_bench.results.records.store import trial_folder
from fernoise_bench.results.records.trial_files import read_epochs, read_part, write_epochs, write_part

from ..fabricate import Trial, fabricate

RATES = {name: [0.1, None] for name in ("positive", "negative", "true_positive", "true_negative")}
WRONG = [
    ("identity.json", ("seed",), ["x"], "seed: Expected `int`, got `array`"),
    ("identity.json", ("seed",), 2**53, "seed: Expected `int` <= 9007199254740991"),
    ("identity.json", ("fold",), 0, "fold: Expected `str | null`, got `int`"),
    ("identity.json", ("fold",), " ", "fold: Expected `str` that is not blank"),
    ("identity.json", ("level",), "=cmd", "level: Expected `float | null`, got `str`"),
    ("identity.json", ("level",), True, "level: Expected `float | null`, got `bool`"),
    ("identity.json", ("level",), 1.5, "level: Expected `float` <= 1.0"),
    ("identity.json", ("profile",), {}, "profile: Expected `str`, got `object`"),
    ("identity.json", ("profile",), "huge", "profile: Invalid enum value 'huge'"),
    ("identity.json", ("source",), 0, "source: Expected `str`, got `int`"),
    ("identity.json", ("protocol", "name"), [[1]], "protocol.name: Expected `str`, got `array`"),
    ("identity.json", ("settings",), 7, "settings: Expected `object`, got `int`"),
    ("identity.json", ("settings", "recipe"), {"epochs": 0}, "settings.recipe.epochs: Expected `int` >= 1"),
    ("environment.json", ("unstated",), -1, "unstated: Expected `array`, got `int`"),
    ("environment.json", ("teachers",), None, "teachers: Expected `array`, got `null`"),
    ("environment.json", ("teachers",), [{"name": "a", "id": "b"}], "teachers[0]: Object missing required field `sec"),
    ("environment.json", ("views",), "", "views: Expected `int`, got `str`"),
    ("environment.json", ("views",), 1.0, "views: Expected `int`, got `float`"),
    ("environment.json", ("rows_per_epoch",), 0, "rows_per_epoch: Expected `int` >= 1"),
    ("environment.json", ("noise",), [], "noise: Expected `object | null`, got `array`"),
    ("environment.json", ("task", "names"), [], "task.names: Expected `array` of length >= 1"),
    ("environment.json", ("task", "metric"), "f1", "unknown kind of task or metric"),
    ("status.json", ("peak_memory_mb",), [[1]], "peak_memory_mb: Expected `float | null`, got `array`"),
    ("status.json", ("best",), None, "best: Expected `object`, got `null`"),
    ("status.json", ("seconds",), None, "is done and lacks seconds"),
    ("status.json", ("best", "oracle"), 99, "best.oracle is no epoch of epochs.jsonl"),
    ("status.json", ("reason",), "x" * 5_000_000, "reason: Expected `str` of length <= 10000"),
    ("environment.json", ("task", "metric"), "f" * 5_000_000, "task.metric: Expected `str` of length <= 1000"),
    ("epochs.jsonl", ("compute", "backwards"), "x", "line 1: compute.backwards: Expected `int`, got `str`"),
    ("epochs.jsonl", ("audit", "recovered"), "nan", "line 1: audit.recovered: Expected `int | null`, got `str`"),
    ("epochs.jsonl", ("audit",), {"entries": 3}, "line 1: audit: has entries and lacks wrong"),
    ("epochs.jsonl", ("audit_by_class",), {"wrong": [1]}, "line 1: audit_by_class.wrong is not a list of 4"),
    ("epochs.jsonl", ("transition_error",), -0.5, "line 1: transition_error: Expected `float` >= 0.0"),
    ("epochs.jsonl", ("flip_rates",), {"positive": [0.1]}, "line 1: flip_rates: Object missing required field `neg"),
    ("epochs.jsonl", ("flip_rates",), RATES | {"negative": [1.5]}, "line 1: flip_rates.negative[0]: Expected `float`"),
    ("epochs.jsonl", ("flip_rates",), RATES, "line 1: flip_rates.positive is not a list of 4"),
    ("epochs.jsonl", ("logs",), {"rate": "x"}, "line 1: logs[...]: Expected `float | null`, got `str`"),
    *(
        ("epochs.jsonl", ("test", "confusion"), counts, "line 1: test.confusion is not 4 × 4 counts")
        for counts in ([], [[1, 2]], [[1, 2, 3, 4]] * 3, [[1, 2, 3, 4]] * 3 + [[1]])
    ),
    *(
        ("epochs.jsonl", ("test", "confusion"), [[1, odd]], "line 1: test.confusion[0][1]: Expected `int`")
        for odd in (-4, 0.5, 2**60, True)
    ),
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
    assert "(environment.json: networks: Number out of range)" in message


def test_what_is_unknown_may_be_anything_and_is_part_of_the_name(tmp_path):
    content = {**Trial().identity, "later": [{"more": None}]}
    folder = fabricate(tmp_path, Trial()).rename(trial_folder(tmp_path, content))
    files.write_json(folder / "identity.json", content)
    put(folder / "epochs.jsonl", ("later",), {})
    put(folder / "status.json", ("later",), [])
    record = load_record(tmp_path, folder)
    assert record.identity.content == content
    assert record.identity.key != identity_of(Trial().identity).key


def test_a_trial_is_written_as_it_is_read(tmp_path):
    folder = fabricate(tmp_path, Trial())
    environment, status = read_part(folder, Environment), read_part(folder, Status)
    lines = files.read_jsonl(folder / "epochs.jsonl")
    other = tmp_path / "other"
    write_part(other, read_part(folder, Identity))
    write_part(other, environment)
    write_part(other, status)
    write_epochs(other, lines)
    for name in ("identity.json", "status.json", "epochs.jsonl"):
        assert (other / name).read_bytes() == (folder / name).read_bytes()
    assert read_part(other, Environment) == environment
    assert read_epochs(other) == read_epochs(folder)


def test_estimates_of_the_noise_are_there_where_they_were_written(tmp_path):
    folder = fabricate(tmp_path, Trial())
    without = read_epochs(folder)
    assert [transition_error_of(line) for line in without] == [None] * len(without)
    assert flip_rates_of(without[-1]) is None
    rates = {name: [0.1, None, 0.2, 1.0] for name in RATES}
    put(folder / "epochs.jsonl", ("transition_error",), 0.25)
    put(folder / "epochs.jsonl", ("flip_rates",), rates)
    first = load_record(tmp_path, folder).epochs[0]
    assert transition_error_of(first) == 0.25
    assert flip_rates_of(first).negative == (0.1, None, 0.2, 1.0)
    put(folder / "epochs.jsonl", ("transition_error",), None)
    put(folder / "epochs.jsonl", ("flip_rates",), None)
    assert transition_error_of(load_record(tmp_path, folder).epochs[0]) is None
    assert flip_rates_of(load_record(tmp_path, folder).epochs[0]) is None


def test_lines_without_an_estimate_are_encoded_as_they_were(tmp_path):
    """Summaries that ship hold the last line of every trial."""
    line = read_epochs(fabricate(tmp_path, Trial()))[-1]
    assert not {"transition_error", "flip_rates"} & msgspec.to_builtins(line).keys()


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"Expected `int`, got `str` - at `.*seed`"):
        write_part(tmp_path, identity_of({**Trial().identity, "seed": "x"}))
    with pytest.raises(ValueError, match="seconds: Expected `float` >= 0"):
        write_part(tmp_path, Status("done", epochs=1, seconds=-1.0, best=Best(None, 0)))
    with pytest.raises(ValueError, match="test: Object missing required field `confusion`"):
        write_epochs(tmp_path, [{"epoch": 0, "test": {}}])
    assert list(tmp_path.iterdir()) == []


def test_text_that_no_reader_asks_for_is_text_all_the_same(tmp_path):
    folder = fabricate(tmp_path, Trial())
    for odd, told in (("\x1b[2J", "control characters"), ("\u202e", "control characters"), ("\\u0007", "control")):
        (folder / "status.json").write_text(f'{{"state": "running", "later": ["{odd}"]}}'.replace("\x1b", "\\u001b"))
        with pytest.raises(BadInput, match=told):
            read_part(folder, Status)
    (folder / "status.json").write_bytes(b'{"state": "running", "later": "\xff"}')
    with pytest.raises(BadInput, match="codec can't decode byte 0xff"):
        read_part(folder, Status)
    (folder / "status.json").write_text('{"state": "running", "reason": "β – é \\\\ \\n"}'.replace("\\n", ""))
    assert read_part(folder, Status).reason == "β – é \\ "
