"""Methods whose class is not what it should be: each is told in one line, by every command that names it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.registry import METHODS, find
from fernoise_bench.methods.base import view_kinds
from fernoise_bench.protocols.catalog import PROTOCOLS

from .test_registry import MINE, file_of, refusal

NEEDS = 'needs = {"single"}'
VARIANT = 'Variant("as usual", {"factor": 1.0}, frozenset({"noise_rate"}))'
VARIANTS = f'variants = {{"once": {VARIANT}}}'

FAULTS = {
    "variants, a number": (VARIANTS, "variants = 7", ".variants must be a mapping"),
    "variants, a list": (VARIANTS, "variants = ['once']", ".variants must be a mapping"),
    "variant, a number": (VARIANT, "7", ".variants['once'] must be a Variant"),
    "variant, its class": (VARIANT, "Variant", ".variants['once'] must be a Variant"),
    "variant, its name": ('{"once":', "{1:", ".variants: 1 is no name for a variant"),
    "variant, its words": ('"as usual"', "None", ".variants['once'] must have a text as its description"),
    "variant, its parameters": ('{"factor": 1.0}', "7", ".variants['once'] must have a mapping"),
    "variant, another parameter": (
        '{"factor"',
        '{"facto"',
        "the hyper-parameter 'facto', which Params lacks; it has fac",
    ),
    "variant, no parameter's name": ('{"factor"', "{1", "the hyper-parameter 1, which Params lacks; it has factor"),
    "variant, its needs": ('frozenset({"noise_rate"})', "7", ".variants['once'] must have sets of names"),
    "variant, a need": ('"noise_rate"', "3", ".variants['once'] must have sets of names"),
    "variant, no labels": (
        'frozenset({"noise_rate"})',
        'frozenset(), frozenset({"single"})',
        ".variants['once'] leaves neither 'single' nor 'multi'",
    ),
    "needs, a number among them": (NEEDS, 'needs = {"single", 3}', ".needs must be a set of names alone"),
    "views, a word": (NEEDS, f'{NEEDS}\n    views = "2"', ".views must be a whole number of at least 1"),
    "views, none": (NEEDS, f"{NEEDS}\n    views = 0", ".views must be a whole number of at least 1"),
    "views, no kind": (NEEDS, f'{NEEDS}\n    views = ("weak", "wild")', ".views must be a whole number of at least 1"),
    "views, empty": (NEEDS, f"{NEEDS}\n    views = ()", ".views must be a whole number of at least 1"),
    "views, a list": (NEEDS, f'{NEEDS}\n    views = ["weak"]', ".views must be a whole number of at least 1"),
    "groups": (NEEDS, f"{NEEDS}\n    parameter_groups = ()", ".parameter_groups must be a function"),
    "views, a truth": (NEEDS, f"{NEEDS}\n    views = True", ".views must be a whole number of at least 1"),
    "params, an instance": ("Params = MineParams", "Params = MineParams()", ".Params must be a dataclass"),
    "params, a number": ("Params = MineParams", "Params = 7", ".Params must be a dataclass"),
    "params, a source": ('"unstated: ours"', "7", ".Params: the source of factor must be text"),
    "documentation": (NEEDS, f"{NEEDS}\n    __doc__ = 7", ".__doc__ must be text"),
    "loss": ("def loss(self, batch):", "loss = 7\n\n    def lost(self, batch):", ".loss must be a function"),
    "prepare": (NEEDS, f"{NEEDS}\n    prepare = None", ".prepare must be a function"),
}


@pytest.mark.parametrize(("old", "new", "told"), FAULTS.values(), ids=FAULTS)
def test_a_class_that_is_no_complete_method_is_one_line(old: str, new: str, told: str, tmp_path: Path) -> None:
    assert old in MINE
    path = file_of(tmp_path, MINE.replace(old, new))
    message = refusal(f"{path}:Mine")
    assert message.startswith(f"{path}: Mine.")
    assert told in message
    for words in (("show", "method"), ("run", "--protocol", "ferplus-sym", "--synthetic", "--method")):
        result = CliRunner().invoke(main, [*words, f"{path}:Mine:once"])
        assert result.exit_code == 2
        assert result.stderr.startswith(f"fernoise-bench: {path}: Mine.")
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_complete(name: str) -> None:
    assert len(view_kinds(find(name).load().views)) >= 1


def test_views_may_be_a_property(tmp_path: Path) -> None:
    path = file_of(tmp_path, MINE.replace(NEEDS, f"{NEEDS}\n    views = property(lambda self: 2)"))
    assert find(f"{path}:Mine").name == "mine.Mine"


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("GeneratorExit", "GeneratorExit: "),
        ("SystemExit('enough')", "SystemExit: enough"),
        ("type('Mine', (BaseException,), {})('enough')", "Mine: enough"),
    ],
)
@pytest.mark.parametrize("place", ["import", "parameters"])
def test_whatever_is_raised_is_one_line(raised: str, told: str, place: str, tmp_path: Path) -> None:
    text = f"raise {raised}"
    if place == "parameters":
        text = MINE.replace(
            "shared: ClassVar", f"def __post_init__(self):\n        raise {raised}\n\n    shared: ClassVar"
        )
    path = file_of(tmp_path, text)
    message = refusal(f"{path}:Mine")
    assert message.startswith(f"--method {path}: does not" if place == "import" else "mine.Mine: its hyper-parameters")
    assert told in message


def test_an_interrupt_still_interrupts(tmp_path: Path) -> None:
    path = file_of(tmp_path, "raise KeyboardInterrupt")
    for _ in range(2):  # what was interrupted is not taken for a loaded module
        with pytest.raises(KeyboardInterrupt):
            find(f"{path}:Mine")


def test_what_a_variant_changes_is_tried_too(tmp_path: Path) -> None:
    path = file_of(tmp_path, MINE.replace('{"factor": 1.0}', '{"factor": {1}}'))
    assert find(f"{path}:Mine").params_as_json() == {"factor": 2.0}
    assert "mine.Mine:once: a hyper-parameter cannot be written as JSON" in refusal(f"{path}:Mine:once")


def test_a_teacher_that_needs_itself_is_said_not_to_be_applicable(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    file_of(tmp_path, MINE.replace(NEEDS, f'needs = {{"single", "teacher:{path}:Mine"}}'))
    reason = find(f"{path}:Mine").missing(PROTOCOLS["ferplus-sym"])
    assert reason == f"needs the teacher {path}:Mine, which needs a teacher itself"
