"""The digest of a method's code: what changes its numbers is a new trial, what does not is not."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fernoise_bench.benchmark import method_source
from fernoise_bench.benchmark.engines.local import run_inline, run_local
from fernoise_bench.benchmark.engines.remote import EventLog, pack, run_remote
from fernoise_bench.benchmark.method_source import source_digest, source_files
from fernoise_bench.benchmark.planning.grid import RunRequest, make_grid
from fernoise_bench.benchmark.registry import MethodSpec, all_base, find
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.benchmark.trial_state import outcome, state_of
from fernoise_bench.results.records.trial_files import read_epochs

from ..toy import ToyContext, ignore, toy_trial

ROOT = Path(method_source.__file__).parents[1]
DIGESTS = json.loads((Path(__file__).parent / "released_digests.json").read_text())

MINE = """
from fernoise_bench.methods.base import Method, Network, Step

from helper import loss_of


class Mine(Method):
    needs = {"single"}

    def __init__(self, task, make_encoder, params):
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch):
        return Step(loss_of(self.network(batch.images[0]), batch.labels))

    def predict(self, images):
        return self.network(images).softmax(dim=1)
"""
HELPER = """
from torch.nn.functional import cross_entropy


def loss_of(logits, labels):
    return 1.0 * cross_entropy(logits, labels)
"""
CHANGED = "its code has changed since the run began"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `methods/` and `baselines/` that stands for the package."""
    for folder in ("methods", "baselines"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(method_source, "_ROOT", tmp_path)
    monkeypatch.setattr(method_source, "_SHARED", (tmp_path / "methods", tmp_path / "baselines"))
    monkeypatch.setattr(method_source, "_CONTRACT", tmp_path / "methods" / "base.py")
    return tmp_path


def of(tree: Path, name: str) -> str:
    return source_digest(f"{tree / name}.py:X")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def user(folder: Path, helper: str = HELPER) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "helper.py").write_text(helper)
    (folder / "mine.py").write_text(MINE)
    return folder / "mine.py"


def factor_of(spec: MethodSpec) -> float:
    """The number in the helper that a method would train with."""
    code = vars(sys.modules[spec.load().__module__])["loss_of"].__code__
    return next(value for value in code.co_consts if isinstance(value, float))


# --- what counts


def test_the_digests_of_all_methods_are_those_their_records_carry() -> None:
    """A digest that changes takes every record of its method out of reach: let it change with the numbers alone."""
    assert {spec.name: spec.digest for spec in all_base()} == DIGESTS


def test_shared_maths_counts_for_every_method_that_imports_it(tree: Path) -> None:
    before = {name: of(tree, f"baselines/{name}") for name in ("supervised", "nct", "distillation")}
    edit(tree / "methods" / "losses.py", "def label_loss", "SCALE = 0.1\n\n\ndef label_loss")
    assert all(of(tree, f"baselines/{name}") != digest for name, digest in before.items())


def test_maths_reached_through_another_file_counts(tree: Path) -> None:
    assert tree / "methods" / "clean_loss.py" in source_files(f"{tree}/baselines/ensemble.py:X")
    assert tree / "methods" / "recot.py" not in source_files(f"{tree}/baselines/ensemble.py:X")
    assert tree / "methods" / "mixture.py" in source_files(f"{tree}/baselines/jocor_multi.py:X")
    ensemble, scn = of(tree, "baselines/ensemble"), of(tree, "baselines/scn")
    edit(tree / "methods" / "clean_loss.py", "def clean_loss", "EPSILON = 1\n\n\ndef clean_loss")
    assert of(tree, "baselines/ensemble") != ensemble
    assert of(tree, "baselines/scn") == scn


def test_the_networks_count_and_the_contract_does_not(tree: Path) -> None:
    before = of(tree, "baselines/supervised")
    edit(tree / "methods" / "base.py", "def sourced", "NEW = 1\n\n\ndef sourced")
    assert of(tree, "baselines/supervised") == before
    edit(tree / "methods" / "networks.py", "logits2, kind)) / 2", "logits2, kind)) / 3")
    assert of(tree, "baselines/supervised") != before


def test_order_of_imports_and_words_do_not_count(tree: Path) -> None:
    before = of(tree, "baselines/scn")
    path = tree / "baselines" / "scn.py"
    lines = path.read_text().splitlines(keepends=True)
    ours = [line for line in lines if line.startswith("from ..methods.") and "(" not in line]
    rest = [line for line in lines if line not in ours]
    place = max(at for at, line in enumerate(rest) if line.startswith(("from torch", "import torch")))
    path.write_text("".join([*rest[: place + 1], *reversed(ours), *rest[place + 1 :]]))
    edit(tree / "methods" / "losses.py", '"""', '"""Other words. ')
    edit(tree / "methods" / "selection.py", "\ndef ", "\n# a remark\ndef ")
    assert of(tree, "baselines/scn") == before


def test_a_shared_file_may_move(tree: Path) -> None:
    before = of(tree, "baselines/gce")
    (tree / "methods" / "shared").mkdir()
    (tree / "methods" / "losses.py").rename(tree / "methods" / "shared" / "losses.py")
    edit(tree / "methods" / "shared" / "losses.py", "from ..protocols", "from ...protocols")
    edit(tree / "baselines" / "gce.py", "from ..methods.losses", "from ..methods.shared.losses")
    assert of(tree, "baselines/gce") == before


def test_what_a_name_was_imported_as_does_not_count_and_what_it_is_does(tree: Path) -> None:
    path = tree / "baselines" / "gce.py"
    path.write_text("from ..methods.losses import softmax_kl as f\n\n\ndef g(x):\n    return f(x)\n")
    before = of(tree, "baselines/gce")
    path.write_text("from ..methods.losses import softmax_kl\n\n\ndef g(x):\n    return softmax_kl(x)\n")
    assert of(tree, "baselines/gce") == before
    path.write_text("from ..methods.losses import soft_bce as f\n\n\ndef g(x):\n    return f(x)\n")
    assert of(tree, "baselines/gce") != before


# --- a user's files


def test_the_modules_beside_a_users_file_count_and_are_loaded_as_they_are(tmp_path: Path) -> None:
    path = user(tmp_path / "a")
    found = {file for file in source_files(f"{path}:Mine") if file.name != "__init__.py"}
    assert found == {path, path.parent / "helper.py", ROOT / "methods" / "networks.py"}
    before = find(f"{path}:Mine")
    first = factor_of(before)
    (path.parent / "helper.py").write_text(HELPER.replace("1.0", "3.0"))
    after = find(f"{path}:Mine")
    assert before.digest != after.digest
    other = user(tmp_path / "b", HELPER.replace("1.0", "5.0"))
    assert (first, factor_of(after), factor_of(find(f"{other}:Mine"))) == (1.0, 3.0, 5.0)
    assert factor_of(find(f"{path}:Mine")) == 3.0


@pytest.mark.parametrize("module", ["helper", "parts.maths"])
def test_what_a_file_imports_while_it_trains_is_its_own(module: str, tmp_path: Path) -> None:
    """Two files with modules of one name beside them, whose trials take turns in one process."""
    trials = []
    for folder, factor in ((tmp_path / "a", 1.0), (tmp_path / "b", 5.0)):
        file = folder.joinpath(*module.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True)
        file.write_text(f"FACTOR = {factor}")
        (folder / "mine.py").write_text(
            MINE.replace("from helper import loss_of", "from torch.nn.functional import cross_entropy").replace(
                "return Step(loss_of(self.network(batch.images[0]), batch.labels))",
                f"from {module} import FACTOR\n"
                "        loss = FACTOR * cross_entropy(self.network(batch.images[0]), batch.labels)\n"
                '        return Step(loss, logs={"factor": FACTOR})',
            )
        )
        trials += [toy_trial(f"{folder}/mine.py:Mine", tmp_path, kind="single", seed=s, epochs=1) for s in (0, 1)]
    for trial in (trials[0], trials[2], trials[1], trials[3]):
        assert run_trial(trial, ToyContext(), ignore)["state"] == "done"
    assert [read_epochs(trial.folder)[0].logs["factor"] for trial in trials] == [1.0, 1.0, 5.0, 5.0]


def test_a_package_beside_a_users_file_counts(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "maths.py").write_text(HELPER)
    path = tmp_path / "mine.py"
    path.write_text(MINE.replace("from helper", "from parts.maths"))
    assert tmp_path / "parts" / "maths.py" in source_files(f"{path}:Mine")
    assert find(f"{path}:Mine").load().__name__ == "Mine"


def test_the_files_of_an_installed_package_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "outside_package"
    (package / "parts").mkdir(parents=True)
    for folder in (package, package / "parts"):
        (folder / "__init__.py").write_text("")
    (package / "parts" / "maths.py").write_text(HELPER)
    (package / "mine.py").write_text(MINE.replace("from helper", "from .parts.maths"))
    (tmp_path / "another.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    found = {path for path in source_files("outside_package.mine:Mine") if path.name != "__init__.py"}
    assert package / "parts" / "maths.py" in found
    assert not any(path.name == "another.py" for path in found)
    (package / "mine.py").write_text(MINE.replace("from helper", "import another\nfrom outside_package.parts.maths"))
    assert {path for path in source_files("outside_package.mine:Mine") if path.name != "__init__.py"} == found


# --- edited while a run goes on


def trials_of(path: Path, out: Path) -> list[Trial]:
    spec = find(f"{path}:Mine")
    return [toy_trial(spec, out, seed=seed, epochs=1) for seed in range(2)]


def test_a_trial_whose_code_was_edited_is_not_run(tmp_path: Path) -> None:
    path = user(tmp_path / "code")
    first, second = trials_of(path, tmp_path / "runs")
    heard: list[Mapping[str, Any]] = []

    def listen(trial: Trial, event: Mapping[str, Any]) -> None:
        if "status" in event:
            heard.append(event["status"])
            (path.parent / "helper.py").write_text(HELPER.replace("1.0", "2.0"))

    run_inline([first, second], listen, ToyContext())
    assert [status["state"] for status in heard] == ["done", "failed"]
    assert CHANGED in heard[1]["reason"]
    assert "\n" not in heard[1]["reason"]
    assert not second.folder.exists()
    assert CHANGED in outcome(second)["reason"]
    assert state_of(first) == "done"
    again = trials_of(path, tmp_path / "runs")
    assert {trial.id for trial in again}.isdisjoint({first.id, second.id})
    run_inline(again, lambda trial, event: None, ToyContext())
    assert {state_of(trial) for trial in again} == {"done"}


@pytest.mark.parametrize("text", [HELPER.replace("1.0", "2.0"), "def loss_of(:"], ids=["other", "broken"])
def test_nor_on_another_machine(text: str, tmp_path: Path) -> None:
    """What Slurm and Ray send is unpickled where the trial runs."""
    path = user(tmp_path / "code")
    trial, _ = trials_of(path, tmp_path / "runs")
    sent = pickle.dumps(pack(trial))
    (path.parent / "helper.py").write_text(text)
    status = run_remote(pickle.loads(sent), ToyContext(), EventLog(tmp_path / "post"), "w")
    assert status["state"] == "failed"
    assert not trial.folder.exists()


@pytest.mark.slow
@pytest.mark.weekly
def test_nor_in_a_pool_of_processes(tmp_path: Path) -> None:
    path = user(tmp_path / "code")
    asked = RunRequest(
        "fer2013-real", (f"{path}:Mine",), seeds=2, profile="smoke", synthetic=True, out=tmp_path / "runs"
    )
    trials, heard = make_grid(asked).trials, []

    def listen(trial: Trial, event: Mapping[str, Any]) -> None:
        if "status" in event:
            heard.append(event["status"]["state"])
            (path.parent / "helper.py").write_text(HELPER.replace("1.0", "2.0"))

    run_local(trials, listen, 1)
    assert heard == ["done", "failed"]
    assert [state_of(trial) for trial in trials] == ["done", "new"]
