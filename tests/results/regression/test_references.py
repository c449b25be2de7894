from __future__ import annotations

import json
from pathlib import Path

import pytest

from fernoise_bench.benchmark.regression import SUITES, make_plan
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.regression.compare import Reference
from fernoise_bench.results.regression.references import NONE, SHIPPED, References, load, path_of, save

TRACE = {"loss": (2.0, None), "right": (0.123456789,)}
ENTRY = Reference("digest", (TRACE, TRACE), {"loss": (0.0, 0.1), "right": (0.2,)})
NOTE = {"reason": "a new schedule", "date": "2026-01-01", "wrote": "everything", "versions": {"torch": "2"}}


def test_what_was_written_is_read_back_with_seven_digits(tmp_path: Path) -> None:
    save(tmp_path, "smoke", NONE.updated({"p": "mark"}, {("p", "m"): ENTRY}, frozenset(), NOTE))
    found = load(tmp_path, "smoke")
    assert found.protocols == {"p": "mark"}
    assert found.history == (NOTE,)
    entry = found.entries["p", "m"]
    assert entry.seeds == ({"loss": (2.0, None), "right": (0.1234568,)},) * 2
    assert entry.reach == ENTRY.reach


def test_an_update_keeps_the_rest_and_the_history(tmp_path: Path) -> None:
    first = NONE.updated({"p": "mark"}, {("p", "b"): ENTRY, ("p", "gone"): ENTRY}, frozenset(), NOTE)
    second = first.updated({"p": "mark"}, {("p", "a"): ENTRY}, frozenset({("p", "gone")}), {**NOTE, "reason": "more"})
    assert list(second.entries) == [("p", "a"), ("p", "b")]
    assert [note["reason"] for note in second.history] == ["a new schedule", "more"]


def test_what_others_wrote_while_an_update_ran_is_kept() -> None:
    before = NONE.updated({"p": "mark"}, {("p", "a"): ENTRY, ("p", "gone"): ENTRY}, frozenset(), NOTE)
    other = Reference("other", ENTRY.seeds, ENTRY.reach)
    mine = before.updated({"p": "new"}, {("p", "b"): ENTRY}, frozenset({("p", "gone")}), {**NOTE, "reason": "mine"})
    theirs = before.updated({"p": "mark"}, {("p", "a"): other}, frozenset(), {**NOTE, "reason": "theirs"})
    both = theirs.with_changes(before, mine)
    assert both.entries == {("p", "a"): other, ("p", "b"): ENTRY}
    assert both.protocols == {"p": "new"}
    assert [note["reason"] for note in both.history] == ["a new schedule", "theirs", "mine"]
    assert before.with_changes(before, mine) is mine


def test_the_cpu_that_wrote_the_references_of_a_method_is_that_of_the_last_update_of_it() -> None:
    notes = [NOTE, {**NOTE, "wrote": ["a", "b"], "cpu": "AVX2"}, {**NOTE, "wrote": ["b"], "cpu": "AVX512"}]
    known = References({}, {}, tuple(notes))
    assert known.cpus(["a"]) == ("AVX2",)
    assert known.cpus(["b", "c"]) == ("", "AVX512"), "of c, the first note does not say"
    assert References({}, {}, ({**NOTE, "wrote": ["b"]},)).cpus(["c"]) == ()


def test_no_file_is_no_references(tmp_path: Path) -> None:
    assert load(tmp_path, "smoke") == NONE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "history": [], "protocols": {}, "entries": []}',
        '{"format": 1, "history": [], "protocols": {}, "entries": {"p/m": {"digest": "d", "seeds": [], "reach": {}}}}',
        '{"format": 1, "history": [], "protocols": {}, "entries":'
        ' {"p/m": {"digest": "d", "seeds": [{"loss": [1]}], "reach": {"right": [0]}}}}',
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path_of(tmp_path, "smoke").write_text(text)
    with pytest.raises(BadInput, match=r"smoke\.json") as caught:
        load(tmp_path, "smoke")
    assert "\n" not in str(caught.value)


def damage(*path, value):
    """What was written, with something else at a place of it."""

    def damaged(content):
        *inner, last = path
        for step in inner:
            content = content[step]
        content[last] = value

    return damaged


@pytest.mark.parametrize(
    "damaged",
    [
        damage("history", value="a text"),
        damage("history", 0, value={"reason": "no versions"}),
        damage("history", 0, "versions", "torch", value="\x1b[2J"),
        damage("history", 0, "wrote", value=[7]),
        damage("history", 0, "cpu", value=None),
        damage("protocols", value=["p"]),
        damage("entries", value={"p/\x1bm": {}}),
        damage("entries", "p/m", "digest", value=7),
        damage("entries", "p/m", "seeds", value=[{"right": [0.1]}]),
        damage("entries", "p/m", "seeds", 0, "right", value=[]),
        damage("entries", "p/m", "seeds", 0, "right", value=[None]),
        damage("entries", "p/m", "seeds", 0, "loss", value=["two", None]),
        damage("entries", "p/m", "seeds", 0, "loss", value=[1e999, None]),
        damage("entries", "p/m", "reach", "loss", value=[0.0]),
        damage("entries", "p/m", "reach", "loss", value=[0.0, -1.0]),
        damage("entries", "p/m", "reach", "loss", value=[0.0, 10**400]),
        damage("entries", "p/m", "reach", "loss", value=[0.0, 1e999]),
        damage("entries", "p/m", "reach", value={"right": [0.2]}),
    ],
)
def test_damaged_numbers_are_refused_before_anything_is_trained(tmp_path: Path, damaged) -> None:
    save(tmp_path, "smoke", References({"p": "mark"}, {("p", "m"): ENTRY}, (NOTE,)))
    path = path_of(tmp_path, "smoke")
    content = json.loads(path.read_text())
    damaged(content)
    path.write_text(json.dumps(content))
    with pytest.raises(BadInput, match=r"smoke\.json: not references of a check .*; restore the file") as caught:
        load(tmp_path, "smoke")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("place", ["folder", "dangling link"])
def test_something_else_in_the_place_of_the_file_is_no_absence(tmp_path: Path, place: str) -> None:
    path = path_of(tmp_path, "smoke")
    path.mkdir() if place == "folder" else path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadInput, match=r"smoke\.json: not references of a check"):
        load(tmp_path, "smoke")


def test_the_file_has_a_line_for_each_series(tmp_path: Path) -> None:
    save(tmp_path, "smoke", References({"p": "mark"}, {("p", "m"): ENTRY}, (NOTE,)))
    text = path_of(tmp_path, "smoke").read_text()
    assert '     "loss": [2.0,null],\n' in text
    assert json.loads(text)["format"] == 1


@pytest.mark.parametrize("suite", SUITES)
def test_shipped_references_are_of_the_protocols_and_methods_as_they_are(suite: str) -> None:
    """Fails when a check protocol changes or a method comes, and its references are not written anew."""
    shipped, plan = load(SHIPPED, suite), make_plan(suite, ())
    assert all(note["reason"] for note in shipped.history)
    assert shipped.protocols == plan.protocols
    assert shipped.entries.keys() == set(plan.pairs)
