"""The conformance suite of the command line: what it says of a method that breaks a rule, and where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.conformance import suite
from fernoise_bench.benchmark.conformance.suite import CHECKS, Check, examine

BAD = '''\
from dataclasses import dataclass

from torch.nn.functional import cross_entropy

from fernoise_bench.methods.base import Method, Network, Step


class Bad(Method):
    """Predicts logits, and looks into a file."""

    needs = frozenset({"single"})

    @dataclass(frozen=True)
    class Params:
        q: float = 0.7

    def __init__(self, task, make_encoder, params):
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch):
        open("labels.csv").close()
        return Step(cross_entropy(self.network(batch.images[0]), batch.labels))

    def predict(self, images):
        return 10 * self.network(images)
'''


def line_of(text: str) -> int:
    """The number of a line of the bad method."""
    return next(number for number, line in enumerate(BAD.splitlines(), start=1) if line.strip().startswith(text))


def checked(*names: str) -> tuple[Check, ...]:
    """The checks of these functions."""
    found = tuple(check for check in CHECKS if check.run.__name__ in names)
    assert len(found) == len(names)
    return found


@pytest.fixture
def bad(tmp_path: Path) -> str:
    file = tmp_path / "bad.py"
    file.write_text(BAD)
    return f"{file}:Bad"


def test_a_broken_rule_is_told_with_the_reason_and_the_line(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("predicts_probabilities", "says_what_it_trained_on", "opens_nothing", "names_its_sources")
    monkeypatch.setattr(suite, "CHECKS", checked(*names))
    shapes, opens, sources = (f for f in examine(bad) if f.check != checked("predicts_probabilities")[0].title)
    (found,) = (f for f in examine(bad) if f.check == checked("predicts_probabilities")[0].title)
    assert (found.method, found.labels) == ("bad.Bad", "single")
    assert found.state == shapes.state == opens.state == sources.state == "failed"
    # a file that is not there is an error of the method's own line
    assert shapes.place == opens.place == f"bad.py:{line_of('open(')}"
    assert "labels.csv" in shapes.reason
    assert opens.reason == "opens what it was not handed: open 'labels.csv'"
    assert sources.place == f"bad.py:{line_of('@dataclass')}"


def test_logits_are_told_at_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bad.py"
    file.write_text(BAD.replace('open("labels.csv").close()', "pass"))
    monkeypatch.setattr(suite, "CHECKS", checked("predicts_probabilities"))
    (found,) = examine(f"{file}:Bad")
    assert found.reason == "predicts numbers outside [0, 1]: return probabilities, not logits"
    assert found.place == f"bad.py:{line_of('def predict')}"


def test_the_command_prints_a_line_a_check_and_fails(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "CHECKS", checked("says_what_it_trained_on", "names_its_sources"))
    said = CliRunner().invoke(main, ["conformance", "--method", bad])
    assert said.exit_code == 1
    heading, first, second, _, last = said.output.splitlines()
    assert heading == "bad.Bad, one expression a face"
    assert first.startswith("  failed    says what it trained on in the agreed shapes: FileNotFoundError: ")
    assert second.endswith(f"q has no source: write sourced(value, 'where it comes from') (bad.py:{line_of('@data')})")
    assert last == "2 of 2 checks failed"


def test_a_method_that_keeps_the_rules_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "CHECKS", checked("says_what_it_trained_on", "learns_nothing_from_unknown_labels"))
    said = CliRunner().invoke(main, ["conformance", "--method", "mean_teacher", "--json"])
    assert said.exit_code == 0
    states = {(finding["check"], finding["state"]) for finding in json.loads(said.output)}
    assert states >= {
        ("says what it trained on in the agreed shapes", "ok"),
        ("learns nothing from unknown labels", "left out"),
    }


def test_a_method_has_to_be_named(tmp_path: Path) -> None:
    said = CliRunner().invoke(main, ["conformance"])
    assert (said.exit_code, "--method" in said.output) == (2, True)
    assert CliRunner().invoke(main, ["conformance", "--method", str(tmp_path / "none.py:A")]).exit_code == 2


def test_a_variant_is_run_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "CHECKS", ())
    (found,) = examine("deep-co-training")
    assert (found.method, found.check, found.state) == (
        "deep_co_training:simplified",
        "runs to its end as a trial",
        "ok",
    )
