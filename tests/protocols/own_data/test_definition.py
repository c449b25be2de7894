"""From a TOML file to a protocol: what it says, what it leaves to defaults, and every way to write it wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fernoise_bench.protocols.catalog import find, protocol_of_file
from fernoise_bench.protocols.definitions.recipes import COCURING, at_small, pooled
from fernoise_bench.protocols.definitions.recipes import RECOT as RECOT_RECIPE
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.own_data.recipes import RECIPES
from fernoise_bench.protocols.own_data.sections import LARGEST

from ..miniatures.own import CLASSES, TOML, changed

UNITS = """
[protocol]
name = "units"
kind = "action units"
labels = ["AU1", "AU12"]
[data]
table = "units.csv"
[data.columns]
reference = "true_"
[split]
folds = 3
"""


def written(root: Path, toml: str) -> Path:
    file = root / "mine.toml"
    file.write_text(toml, encoding="utf-8")
    return file


def test_a_file_says_what_a_published_protocol_says(tmp_path: Path) -> None:
    found = protocol_of_file(written(tmp_path, TOML))
    assert (found.name, found.version, found.kind, found.names) == ("mine", 1, "single", CLASSES)
    assert (found.metric, found.noise, found.levels, found.folds) == ("accuracy", "errors of the given labels", (), ())
    assert found.offers == frozenset()  # neither verified rows nor a reference, from which a rate would be known
    assert found.paper.recipe == COCURING
    assert found.profiles == ("paper", "transfer", "small", "smoke")
    # pictures of 8 px are enlarged to the 48 px crop of the small network
    shown = at_small(COCURING)
    assert found.small.recipe == replace(shown, augmentation=replace(shown.augmentation, resize=48))
    assert (found.small.size.train, found.smoke.size.train, found.paper.size.train) == (4_000, 320, None)
    assert found.own is not None
    assert (found.own.folder, found.own.table, found.own.root) == (tmp_path, "labels.csv", tmp_path / "faces")


def test_a_file_can_be_named_like_a_protocol(tmp_path: Path) -> None:
    file = written(tmp_path, TOML)
    assert find(str(file)) == protocol_of_file(file)


def test_the_fingerprint_is_that_of_what_is_measured_and_not_of_where_it_lies(tmp_path: Path) -> None:
    here = protocol_of_file(written(tmp_path, TOML)).fingerprint("small")
    (tmp_path / "elsewhere").mkdir()
    moved = changed(("labels.csv", "table.csv"), ('"faces"', '"pictures"'), ('given = "given"', 'given = "emotion"'))
    assert protocol_of_file(written(tmp_path / "elsewhere", moved)).fingerprint("small") == here
    for old, new in (
        ("side = 8", "side = 9"),
        ('test = ["test"]', 'test = ["test"]\nvalidation_share = 0.1'),
        ("side = 8", 'side = 8\n[noise]\nkind = "symmetric"\nlevels = [0.2]'),
        ("side = 8", "side = 8\n[recipe]\nepochs = 3\n[profile.small.recipe]\nepochs = 4"),
        ("side = 8", "side = 8\n[profile.small]\ntrain = 7"),
    ):
        assert protocol_of_file(written(tmp_path, changed((old, new)))).fingerprint("small") != here


def test_any_field_of_a_recipe_can_be_replaced_and_says_so(tmp_path: Path) -> None:
    more = """
[recipe]
name = "scn"
epochs = 7
max_steps = "none"
milestones = [2, 4]
schedule = "steps"
[recipe.augmentation]
scale = [0.9, 1]
[profile.small.recipe]
batch_size = 5
"""
    found = protocol_of_file(written(tmp_path, TOML + more))
    recipe = found.paper.recipe
    expected = replace(RECIPES["scn"], epochs=7, max_steps=None, milestones=(2, 4), schedule="steps")
    expected = replace(expected, augmentation=replace(expected.augmentation, scale=(0.9, 1.0)))
    assert replace(recipe, sources=()) == replace(expected, sources=())
    assert dict(recipe.sources)["epochs"] == "the user's file"
    assert "batch_size, weight_decay, schedule, decay" not in dict(recipe.sources)
    assert dict(recipe.sources)["batch_size, weight_decay, decay"] == "authors' code, src/train.py:22-32,194,202"
    assert (found.small.recipe.batch_size, found.smoke.recipe.batch_size) == (5, 32)


def test_action_units_have_their_own_recipe_metric_and_columns(tmp_path: Path) -> None:
    found = protocol_of_file(written(tmp_path, UNITS))
    assert (found.kind, found.metric, found.folds) == ("multi", "f1", ("fold1", "fold2", "fold3"))
    assert found.paper.recipe == pooled(RECOT_RECIPE)
    assert found.profiles == ("paper", "small", "smoke")
    assert found.own is not None
    assert found.own.columns_of("reference", found.names) == {"AU1": "true_AU1", "AU12": "true_AU12"}
    named = UNITS.replace('reference = "true_"', 'verified = "clean"\n[data.columns.given]\nAU12 = "AU12_c"')
    verified = protocol_of_file(written(tmp_path, named))
    assert verified.paper.recipe == RECOT_RECIPE  # half of each batch verified, half not
    assert verified.offers == {"verified"}
    assert verified.own is not None
    assert verified.own.columns_of("given", found.names) == {"AU12": "AU12_c"}


@pytest.mark.parametrize(
    ("more", "offers"),
    [
        ('[data.columns]\nreference = "reference"', {"noise_rate"}),
        ('[data]\nreference_rows = "test"\n[data.columns]\nreference = "reference"', set()),
        ('[noise]\nkind = "pair flip"\nlevels = [0.1]', {"noise_rate"}),
        ('[data.columns]\nverified = "verified"', {"verified"}),
    ],
)
def test_methods_are_offered_what_the_data_have(tmp_path: Path, more: str, offers: set[str]) -> None:
    toml = TOML
    for block in more.split("\n["):
        head, _, rest = block.partition("\n")
        head = f"[{head.lstrip('[')}"
        toml = toml.replace(head, f"{head}\n{rest}", 1) if head in toml else f"{toml}\n{head}\n{rest}\n"
    assert protocol_of_file(written(tmp_path, toml)).offers == offers


WRONG = [
    (('kind = "expressions"', 'kind = "expression"'), "protocol.kind = 'expression'", "did you mean expressions?"),
    (("labels =", "labls ="), "unknown key 'labls' in [protocol]: did you mean labels?"),
    (("[data.columns]", "[data.colums]"), "unknown key 'colums' in [data]: did you mean columns?"),
    (("[pictures]", "[picture]"), "unknown key 'picture': did you mean pictures?"),
    (("side = 8", 'side = "8"'), "pictures.side = '8': must be a whole number"),
    (("side = 8", "side = true"), "pictures.side = True: must be a whole number"),
    (("side = 8", "side = 0"), "pictures.side = 0: must be at least 1"),
    (("side = 8", "side = 5000"), "pictures.side = 5000: must be at most 1024"),
    (('labels = ["happy", "sad", "calm"]', "labels = 3"), "protocol.labels = 3: must be a list of texts"),
    (('labels = ["happy", "sad", "calm"]', 'labels = ["happy"]'), "must be 2 to 1,000 names"),
    (('"sad", "calm"', '"sad", "sad"'), "protocol.labels", "'sad' is there twice"),
    (('labels = ["happy", "sad", "calm"]', ""), "protocol.labels: is missing"),
    (('name = "mine"', 'name = "../mine"'), "protocol.name = '../mine': must be of letters"),
    (('name = "mine"', 'name = "fer2013-real"'), "is a published protocol's: choose another name"),
    (('name = "mine"', 'name = "FER2013-Real"'), "is a published protocol's: choose another name"),
    (('table = "labels.csv"', 'table = "/data/labels.csv"'), "data.table", "relative to the folder of this file"),
    (('train = ["train"]', ""), "split.train: is missing"),
    (('test = ["test"]', 'test = ["train"]'), "[split]: one name is given for two of train, validation and test"),
    (('test = ["test"]', 'test = ["test"]\nfolds = 5'), "split.folds = 5: stands beside train"),
    (('split = "split"\n', ""), "no column has the split"),
    (('test = ["test"]', 'test = ["test"]\nvalidation_share = 2'), "split.validation_share = 2", "from 0 to 0.9"),
    (("side = 8", 'side = 8\n[noise]\nkind = "symetric"'), "did you mean symmetric?"),
    (("side = 8", 'side = 8\n[noise]\nkind = "flip"'), "noise.kind = 'flip': must be one of"),
    (("side = 8", 'side = 8\n[noise]\nkind = "symmetric"'), "needs levels"),
    (("side = 8", "side = 8\n[noise]\nlevels = [0.2]"), "has no level"),
    (("side = 8", 'side = 8\n[noise]\nkind = "votes"'), "needs votes"),
    (("side = 8", 'side = 8\n[noise]\nkind = "symmetric"\nlevels = [1.5]'), "noise.levels", "from 0 to 0.99"),
    (("side = 8", 'side = 8\n[noise]\non = "reference"'), "there are no reference labels"),
    (("side = 8", 'side = 8\n[recipe]\nname = "cocurring"'), "did you mean cocuring?"),
    (("side = 8", "side = 8\n[recipe]\nepoch = 3"), "unknown key 'epoch' in [recipe]: did you mean epochs?"),
    (("side = 8", "side = 8\n[recipe]\nepochs = 0"), "recipe.epochs = 0: must be at least 1"),
    (("side = 8", "side = 8\n[recipe]\nlearning_rate = nan"), "recipe.learning_rate = nan"),
    (("side = 8", 'side = 8\n[recipe]\nsampler = "fixed"'), "needs verified_per_batch"),
    (("side = 8", "side = 8\n[recipe]\nmilestones = [1.5]"), "must be a list of whole numbers"),
    (("side = 8", "side = 8\n[recipe.augmentation]\nscale = [1]"), "must be a list of 2 numbers"),
    (
        ("side = 8", "side = 8\n[recipe.augmentation]\ncrop = 8\nresize = 7"),
        "profile paper: augmentation.crop = 8 is larger than resize = 7:", "set resize to at least 8",
    ),
    (
        (
            "side = 8",
            "side = 8\n[recipe.augmentation]\ncrop = 8\n[profile.small.recipe.augmentation]\npad = 0\ncrop = 49",
        ),
        "profile small: augmentation.crop = 49 is larger than resize = 48:",
    ),
    (("side = 8", "side = 8\n[recipe.augmentation]\ncrop = 9\nresize = 6\npad = 1"), "resize = 6 with pad = 1"),
    (("side = 8", "side = 8\n[profile.large]\ntrain = 3"), "unknown key 'large' in [profile]"),
    (("side = 8", "side = 8\n[profile.small]\ntrain = 0"), "profile.small.train = 0"),
    (("side = 8", "side = 8\n[profile.small]\nside = 9"), "larger than the prepared pictures"),
    (("side = 8", "side = 8\n[profile]\nsmall = 3"), "profile.small = 3: must be a table"),
    (("side = 8", 'side = 8\n[data.values]\n1 = "angry"'), "data.values.1 = 'angry': must be one of protocol.labels"),
    (('given = "given"', 'given = "given"\nbox = ["x", "y"]'), "must be the columns of left, top, width, height"),
    (('given = "given"', 'given = ["given"]'), "data.columns.given", "must be text"),
    (("side = 8", "side = = 8"), "not a TOML file"),
    (("side = 8", f"side = {'[' * 5_000}"), "not a TOML file"),
    (("side = 8", f"side = 8 # {'x' * LARGEST}"), "more than 65,536 bytes"),
]  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_a_mistake_is_told_in_one_line(tmp_path: Path, case: tuple[tuple[str, str], ...]) -> None:
    pair, *parts = case
    file = written(tmp_path, changed(pair))  # type: ignore[arg-type]
    with pytest.raises(BadInput) as caught:
        protocol_of_file(file)
    message = str(caught.value)
    assert message.startswith(str(file))
    assert "\n" not in message
    assert all(str(part) in message for part in parts), message


def test_a_crop_that_reaches_over_the_padded_edge_is_allowed(tmp_path: Path) -> None:
    toml = changed(("side = 8", "side = 8\n[recipe.augmentation]\ncrop = 8\nresize = 6\npad = 1"))
    assert protocol_of_file(written(tmp_path, toml)).paper.recipe.augmentation.crop == 8


def test_a_missing_file_names_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file; fernoise-bench data new"):
        protocol_of_file(tmp_path / "none.toml")
    with pytest.raises(BadInput, match="not a file"):
        protocol_of_file(tmp_path)
