"""The registry: every method by name, a user's method by file, and what is said of a file that is none."""

from __future__ import annotations

import importlib.metadata
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent, indent

import pytest

from fernoise_bench.benchmark import registry
from fernoise_bench.benchmark.registry import METHODS, MethodSpec, all_base, find
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.methods.base import Method
from fernoise_bench.protocols.catalog import PROTOCOLS
from fernoise_bench.protocols.errors import BadInput

from ..toy import ToyContext, ignore, toy_trial

ROOT = Path(registry.__file__).parents[1]

MINE = '''
"""A user's method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch.nn.functional import cross_entropy

from fernoise_bench.methods.base import Method, Network, Step, Variant, sourced


@dataclass(frozen=True)
class MineParams:
    """Hyper-parameters."""

    factor: float = sourced(2.0, "unstated: ours")
    shared: ClassVar[int] = 3


class Mine(Method):
    """Twice the cross-entropy."""

    needs = {"single"}
    Params = MineParams
    variants = {"once": Variant("as usual", {"factor": 1.0}, frozenset({"noise_rate"}))}

    def __init__(self, task, make_encoder, params):
        super().__init__(task, make_encoder, params)
        assert isinstance(params, MineParams)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch):
        """The loss."""
        return Step(self.params.factor * cross_entropy(self.network(batch.images[0]), batch.labels))

    def predict(self, images):
        return self.network(images).softmax(dim=1)
'''

PARTS = {
    "needs": 'needs = frozenset({"multi"})',
    "loss": "def loss(self, batch): ...",
    "predict": "def predict(self, images): ...",
}


def file_of(tmp_path: Path, text: str, name: str = "mine.py") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def class_with(*lines: str) -> str:
    """A module with a class X derived from Method, of these lines."""
    body = indent("\n".join(["pass", *lines]), "    ")
    return f"from fernoise_bench.methods.base import Method\n\n\nclass X(Method):\n{body}\n"


def refusal(name: str) -> str:
    """The one-line message with which a name is refused."""
    with pytest.raises(BadInput) as caught:
        find(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- by name


@pytest.mark.parametrize("name", METHODS)
def test_every_name_loads_a_method_of_its_own_file(name: str) -> None:
    spec = find(name)
    assert spec.name == name
    assert spec.variant == ""
    assert issubclass(spec.load(), Method)
    assert spec.target.partition(":")[0].rpartition(".")[2] == name
    assert spec.params == spec.load().Params()
    assert spec.needs == spec.load().needs
    assert (spec.load().__doc__ or "").strip()


def test_the_dict_holds_every_method_file() -> None:
    """A file of methods/ or baselines/ with a class derived from Method is registered under its own name."""
    shared = {
        "__init__",
        "annotators",
        "base",
        "clean_loss",
        "entry_selection",
        "flip_rate_estimation",
        "forgetting",
        "losses",
        "mixture",
        "networks",
        "selection",
    }
    files = {path.stem for folder in ("methods", "baselines") for path in (ROOT / folder).glob("*.py")} - shared
    assert set(METHODS) == files


@pytest.mark.parametrize("name", METHODS)
def test_a_hyphen_stands_for_an_underscore(name: str) -> None:
    assert find(name.replace("_", "-")).name == name


def test_every_variant_loads_with_its_parameters_and_needs() -> None:
    for base in all_base():
        for name, variant in base.load().variants.items():
            spec = find(f"{base.name}:{name}")
            assert spec.name == f"{base.name}:{name}"
            assert spec.variant == name
            assert spec.needs == (base.needs - variant.without) | variant.needs
            changed = {**base.params_as_json(), **variant.params}
            assert spec.params_as_json() == changed


def test_base_names_come_in_the_order_of_the_dict() -> None:
    assert [spec.name for spec in all_base()] == list(METHODS)


def test_unknown_names_are_told_with_the_nearest() -> None:
    assert refusal("supervized") == "unknown method 'supervized': did you mean supervised?"
    assert "co_teaching" in refusal("coteaching")
    assert refusal("xyz") == f"unknown method 'xyz': known: {', '.join(sorted(METHODS))}"
    assert refusal("supervised:noisi").startswith("unknown variant of supervised 'noisi': did you mean noisy")
    assert find("recot:").name == "recot"


def test_what_a_protocol_does_not_offer_is_said_in_words() -> None:
    faces, aus = PROTOCOLS["ferplus-sym"], PROTOCOLS["bp4d-3fold"]
    assert find("supervised").missing(faces) == find("supervised").missing(aus) == ""
    assert find("cocuring").missing(aus) == "needs one label a face"
    assert find("recot").missing(faces) == "needs action unit labels"
    assert find("supervised:clean").missing(faces) == "needs verified rows"
    spec = MethodSpec("x", "", "", {}, frozenset({"single", "aux", "teacher:supervised:clean"}), "")
    assert spec.missing(faces) == "needs auxiliary AU labels (OpenFace output under openface/)"
    assert spec.missing(faces, frozenset({"aux"})) == ("needs the teacher supervised:clean, which needs verified rows")
    assert spec.teacher == "supervised:clean"
    assert find("distillation").missing(aus) == find("distillation").missing(PROTOCOLS["emotionet-3split"]) == ""
    assert find("distillation").missing(PROTOCOLS["bp4d-3fold-plain"]) == "needs verified rows"


def test_a_variant_may_do_without_a_need_of_its_method() -> None:
    """A protocol that keeps its noise rate to itself can still be run with a guess at it."""
    base, guessed = find("co_teaching"), find("co_teaching:estimated-rate")
    assert base.needs - guessed.needs == {"noise_rate"}
    assert guessed.needs <= base.needs
    silent = replace(PROTOCOLS["ferplus-sym"], offers=frozenset())
    assert base.missing(silent) == "needs a known noise rate"
    assert guessed.missing(silent) == ""


def test_needs_are_taken_away_before_they_are_added(tmp_path: Path) -> None:
    changes = 'frozenset({"verified"}), without=frozenset({"aux", "verified"})'
    text = MINE.replace('{"single"}', '{"single", "aux"}').replace('frozenset({"noise_rate"})', changes)
    path = file_of(tmp_path, text)
    assert find(f"{path}:Mine").needs == {"single", "aux"}
    assert find(f"{path}:Mine:once").needs == {"single", "verified"}


# --- from a file


def test_a_file_runs_end_to_end(tmp_path: Path) -> None:
    path = file_of(tmp_path, MINE)
    spec = find(f"{path}:Mine")
    assert spec.name == "mine.Mine"
    assert spec.params_as_json() == {"factor": 2.0}
    assert spec.unstated == ("factor",)
    trial = toy_trial(spec, tmp_path / "runs", kind="single", epochs=1)
    assert run_trial(trial, ToyContext(), ignore)["state"] == "done"
    assert trial.folder.parent.name == "mine.Mine"
    once = find(f"{path}:Mine:once")
    assert (once.name, once.params_as_json()) == ("mine.Mine:once", {"factor": 1.0})
    assert once.needs == {"single", "noise_rate"}
    assert "did you mean once" in refusal(f"{path}:Mine:oncee")


def test_files_of_the_same_name_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = find(f"{file_of(tmp_path / 'a', MINE)}:Mine")
    other = find(f"{file_of(tmp_path / 'b', MINE.replace('2.0', '5.0'))}:Mine")
    assert one.digest != other.digest
    assert one.load() is not other.load()
    assert [spec.load().Params().factor for spec in (one, other)] == [2.0, 5.0]


def test_a_file_that_was_edited_is_loaded_anew(tmp_path: Path) -> None:
    path = file_of(tmp_path, MINE)
    before = find(f"{path}:Mine")
    file_of(tmp_path, MINE.replace("2.0", "5.0"))
    after = find(f"{path}:Mine")
    assert (before.values["factor"], after.params.factor) == (2.0, 5.0)
    assert before.digest != after.digest


def test_a_specification_reaches_another_process(tmp_path: Path) -> None:
    """A worker that never saw the file gets the same method, variant and parameters."""
    specs = [find("recot:no-tlr"), find(f"{file_of(tmp_path, MINE)}:Mine:once")]
    remote_trial = tmp_path / "specs.pickle"
    remote_trial.write_bytes(pickle.dumps(specs))
    script = f"""
        import pickle, sys
        for spec in pickle.load(open({str(remote_trial)!r}, "rb")):
            print(spec.name, spec.digest, spec.params_as_json(), isinstance(spec.params, spec.load().Params))
    """
    found = subprocess.run([sys.executable, "-c", dedent(script)], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == [f"{s.name} {s.digest} {s.params_as_json()} True" for s in specs]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("from fernoise_bench.methods.base import Nothing", "ImportError: cannot import name 'Nothing'"),
        ("def loss(:", "SyntaxError: invalid syntax (mine.py, line 1)"),
        ("raise ValueError('first line\\nsecond line')", "ValueError: first line"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
    ids=["module", "name", "syntax", "value", "exit", "division"],
)
def test_a_file_that_does_not_import_is_told_with_the_reason(text: str, reason: str, tmp_path: Path) -> None:
    path, modules = file_of(tmp_path, text), set(sys.modules)
    message = refusal(f"{path}:Mine")
    assert message.startswith(f"--method {path}: does not import: {reason}")
    assert message.endswith(f"; to see where: python {path}")
    assert not [name for name in set(sys.modules) - modules if name.startswith("fernoise_user")]


def test_a_file_that_is_absent_or_no_file_is_named(tmp_path: Path) -> None:
    assert refusal(f"{tmp_path / 'mine.py'}:Mine") == f"--method {tmp_path / 'mine.py'}: no such file"
    (tmp_path / "folder.py").mkdir()
    assert refusal(f"{tmp_path / 'folder.py'}:Mine").endswith("no such file")


@pytest.mark.parametrize("name", ["mine.py", "mine.py:", "mine.pyMine"])
def test_the_class_has_to_be_named(name: str, tmp_path: Path) -> None:
    file_of(tmp_path, MINE)
    assert "add the name of the class, as in" in refusal(str(tmp_path / name))


def test_a_class_the_file_lacks_is_told_with_those_it_has(tmp_path: Path) -> None:
    path = file_of(tmp_path, MINE)
    assert refusal(f"{path}:Mien") == f"unknown class in {path} 'Mien': did you mean Mine?"
    empty = file_of(tmp_path, "", "empty.py")
    assert refusal(f"{empty}:Mine") == f"unknown class in {empty} 'Mine': known: no method"


@pytest.mark.parametrize("name", ["number", "function", "Plain", "Path"])
def test_what_is_no_method_is_told_what_to_derive_from(name: str, tmp_path: Path) -> None:
    text = "from pathlib import Path\nnumber = 3\n\n\ndef function(): ...\n\n\nclass Plain: ...\n"
    path = file_of(tmp_path, text)
    expected = f"{path}: {name} is not a Method; derive it from fernoise_bench.methods.base.Method"
    assert refusal(f"{path}:{name}") == expected


@pytest.mark.parametrize("part", ["loss", "predict"])
def test_a_method_that_lacks_a_required_part_is_told_which(part: str, tmp_path: Path) -> None:
    path = file_of(tmp_path, class_with(*(text for name, text in PARTS.items() if name != part)))
    assert refusal(f"{path}:X").startswith(f"{path}: X lacks {part}()")


@pytest.mark.parametrize(
    "needs", ["pass", "needs = frozenset({'verified'})", "needs = 'single'", "needs = ('single',)"]
)
def test_a_method_must_say_which_labels_it_can_learn_from(needs: str, tmp_path: Path) -> None:
    path = file_of(tmp_path, class_with(needs, PARTS["loss"], PARTS["predict"]))
    assert refusal(f"{path}:X").startswith(f"{path}: X.needs must be a set with 'single' or 'multi'")


@pytest.mark.parametrize("params", ["Params = dict", "@dataclass\n    class Params:\n        factor: float"])
def test_hyper_parameters_must_have_defaults(params: str, tmp_path: Path) -> None:
    text = f"from dataclasses import dataclass\n{class_with(*PARTS.values())}\n    {params}\n"
    path = file_of(tmp_path, text)
    assert refusal(f"{path}:X") == f"{path}: X.Params must be a dataclass whose every field has a default"


# --- from an installed package


def offer(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    """Makes entry points appear as if a package had been installed."""
    found = [importlib.metadata.EntryPoint(name, value, registry.ENTRY_POINTS) for name, value in points]
    monkeypatch.setattr(registry, "entry_points", lambda group: found if group == "fernoise_bench.methods" else [])


def test_methods_of_installed_packages_join_by_entry_point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file_of(tmp_path, MINE, "fernoise_outside.py")
    monkeypatch.syspath_prepend(tmp_path)
    offer(monkeypatch, ("out-side", "fernoise_outside:Mine"), ("supervised", "fernoise_outside:Mine"))
    for name in ("out-side", "out_side", "out-side:once"):
        assert find(name).load().__name__ == "Mine"
    assert find("supervised").load().__name__ == "Supervised"  # a package cannot take the place of a method here
    assert {spec.name for spec in all_base()} == {*METHODS, "out_side"}
    sys.modules.pop("fernoise_outside")


def test_an_entry_point_that_does_not_import_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, ("outside", "fernoise_absent:Mine"))
    message = refusal("outside")
    assert message.startswith("fernoise_absent, a method's module, does not import: ModuleNotFoundError")


# --- the digest


def digest(tmp_path: Path, text: str) -> str:
    return find(f"{file_of(tmp_path, text)}:Mine").digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Twice the cross-entropy."""', '"""Another\n    text."""'),
        ('"""The loss."""', ""),
        ('"""A user\'s method."""', ""),
        ("class Mine(Method):", "# a remark\n\n\nclass Mine(Method):  # another"),
        ("2.0", "2.00"),
    ],
    ids=["docstring", "no docstring", "no module docstring", "comment", "spelling"],
)
def test_the_digest_does_not_count_words(old: str, new: str, tmp_path: Path) -> None:
    assert old in MINE
    assert digest(tmp_path, MINE.replace(old, new)) == digest(tmp_path, MINE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2.0", "2"),
        ("2.0", "3.0"),
        ("softmax(dim=1)", "softmax(dim=0)"),
        ("self.params.factor * ", ""),
        ('{"single"}', '{"multi"}'),
        ("assert isinstance(params, MineParams)", "assert not isinstance(params, str)"),
        ("        assert", "        'text that is no docstring'\n        assert"),
    ],
)
def test_the_digest_counts_code(old: str, new: str, tmp_path: Path) -> None:
    assert MINE.count(old) == 1
    assert digest(tmp_path, MINE.replace(old, new)) != digest(tmp_path, MINE)


def test_digests_are_those_of_the_files_and_do_not_depend_on_the_variant() -> None:
    digests = {spec.name: spec.digest for spec in all_base()}
    assert len(set(digests.values())) == len(digests)
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in digests.values())
    assert find("recot:no-tlr").digest == digests["recot"]


def test_a_variant_keeps_the_name_of_its_method() -> None:
    assert (find("recot:no-tlr").name, find("recot:no-tlr").base) == ("recot:no-tlr", "recot")
    assert find("supervised").base == find("supervised").name
