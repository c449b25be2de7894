"""What a method returns or does that cannot be trained on or believed: a named failure, with the line of its file."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path

import pytest

from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.protocols.errors import BadInput

from ...toy import ToyContext, ignore, toy_trial

MINE = """import torch, warnings
from torch.nn.functional import cross_entropy
from fernoise_bench.methods.base import Method, Network, ParameterGroup, Step
class Wrong(Exception):
    def __str__(self):
        return 5
class Mine(Method):
    needs = frozenset({"single"})
    def __init__(self, task, make_encoder, params):
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        self.head = self.network.head
    def loss(self, batch):
        logits = self.network(batch.images[0])
        loss, said = cross_entropy(logits, batch.labels), logits.detach().softmax(dim=1)
        one = torch.ones(1, len(logits))
        #LOSS
    def predict(self, images):
        said = self.network(images).softmax(dim=1)
        #PREDICT
    def parameter_groups(self):
        return #GROUPS
"""


def told(folder: Path, *, loss: str = "return Step(loss)", predict: str = "return said", groups: str = "()") -> str:
    """State and reason of a trial of a method with these lines."""
    file = folder / "mine.py"
    file.write_text(MINE.replace("#LOSS", loss).replace("#PREDICT", predict).replace("#GROUPS", groups))
    status = run_trial(toy_trial(f"{file}:Mine", folder, kind="single", epochs=2), ToyContext(), ignore)
    return f"{status['state']}: {status['reason']}"


LOSS, PREDICT, GROUPS, INIT = 13, 18, 21, 9


@pytest.mark.parametrize(
    ("loss", "what", "line"),
    [
        ("raise Wrong", "Wrong: its message raises TypeError", 17),
        ("return loss", "TypeError: loss() must return a Step, not Tensor", LOSS),
        ("return Step(loss.detach())", "ValueError: Step.loss has no gradient", LOSS),
        ("return Step(None)", "ValueError: loss() returned no loss at any step", LOSS),
        ("return Step(loss, 3 * said)", "ValueError: Step.probabilities are none: they lie outside [0, 1]", LOSS),
        ("return Step(loss, said / 2)", "those of a face's classes do not sum to 1", LOSS),
        ("return Step(loss, said, one / 0 - one / 0)", "ValueError: Step.weight is not finite", LOSS),
        ("return Step(loss, said, one, 99 * one.long())", "ValueError: Step.target holds labels that do not", LOSS),
        ("return Step(loss, logs={'a': 10**400})", "OverflowError: int too large", LOSS),
        ("return Step(loss + logits.exp().add_(logits.sigmoid_()).sum())", "by an inplace operation", LOSS),
        ("logits.register_hook(lambda gradient: 1 / 0); return Step(loss + logits.sum())", "ZeroDivisionError", 17),
        ("return Step(logits.detach().requires_grad_().sum())", "depends on no parameter", LOSS),
        ("self.head.weight = torch.nn.Parameter(self.head.weight.detach()); return Step(loss)", "was replaced", INIT),
        ("self.more = torch.nn.Linear(1, 1); return Step(loss)", "more.bias came or went during training", INIT),
        ("self.register_buffer('seen', one); return Step(loss)", "seen came or went during training", INIT),
    ],
)
def test_of_loss(loss: str, what: str, line: int, tmp_path: Path) -> None:
    found = told(tmp_path, loss=loss)
    assert found.startswith("failed: ")
    assert what in found
    assert found.endswith(f"(mine.py:{line})")


def test_probabilities_that_are_not_finite_are_a_divergence(tmp_path: Path) -> None:
    assert told(tmp_path, loss="return Step(loss, said / 0 * 0)") == "diverged: Step.probabilities are not finite"


@pytest.mark.parametrize(
    ("predict", "what"),
    [
        ("return said.numpy()", "TypeError: predict() must return a floating-point tensor"),
        ("self.train(); return said", "ValueError: predict() must not change the method"),
        ("return said[1:]", "ValueError: predict() must return probabilities"),
        ("return said.to_sparse()", "TypeError: "),
    ],
)
def test_of_predict(predict: str, what: str, tmp_path: Path) -> None:
    found = told(tmp_path, predict=predict)
    assert found.startswith(f"failed: {what}")
    assert found.endswith(f"(mine.py:{PREDICT})")


def test_without_the_constructor_of_its_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys.modules[__name__], "MINE", re.sub(r"\n        (super|self\.\w+ = ).*", "\n        pass", MINE)
    )
    assert re.fullmatch(rf"failed: AttributeError: 'Mine' .*\(mine\.py:{INIT}\)", told(tmp_path))


def test_without_a_parameter(tmp_path: Path) -> None:
    found = told(tmp_path, groups="self.requires_grad_(False) and ()")
    assert found == f"failed: ValueError: optimizer got an empty parameter list (mine.py:{INIT})"


@pytest.mark.parametrize("rate", ["-0.1", "float('nan')", "float('inf')"])
def test_of_parameter_groups(rate: str, tmp_path: Path) -> None:
    found = told(tmp_path, groups=f"(ParameterGroup((self.head.weight,), {rate}),)")
    assert found.startswith("failed: ValueError: parameter_groups() has a learning rate of ")
    assert found.endswith(f"(mine.py:{GROUPS})")


def test_what_it_prints_is_not_in_the_commands_output_and_warnings_stay_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list(warnings.filters)
    loss = "print('here'); warnings.simplefilter('error'); return Step(loss)"
    assert told(tmp_path, loss=loss) == "done: None"
    assert capsys.readouterr().out == ""
    assert warnings.filters == before


def test_weights_whose_file_changed_since_the_run_began_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fernoise_bench.benchmark.networks.initial_weights import Weights
    from fernoise_bench.benchmark.training import runner

    monkeypatch.setattr(runner, "resolve", lambda *_: Weights("own", sha256="0" * 64))
    with pytest.raises(BadInput, match=r"^--weights none: its file has changed since the run began; start the run"):
        ToyContext().weights(toy_trial("supervised", tmp_path, kind="single"))
