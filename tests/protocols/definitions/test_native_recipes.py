"""Recipes of papers' own trainings, value by value: a value that moves moves a table that no other test looks at."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from fernoise_bench.protocols import catalog
from fernoise_bench.protocols.definitions.native_recipes import NATIVE, native_recipe, variants_with_a_recipe

ADAM = {"optimizer": "adam", "head_factor": 1.0, "sampler": "shuffle", "max_steps": None, "neck": ""}
SGD = ADAM | {"optimizer": "sgd"}
ON_FACES = {"encoder": "resnet18", "weights": "msceleb"}
PLAIN = {
    **{"crop": 224, "resize": 224, "pad": 0, "flip": 0.5, "jitter": (0.0,) * 4, "translate": 0.0, "scale": (1.0, 1.0)},
    **{"grayscale": 0.0, "erase": 0.0, "strong": None},
}
STATED: dict[str, dict[str, Any]] = {
    "nla": {
        **(ADAM | ON_FACES),
        **{"epochs": 60, "batch_size": 32, "learning_rate": 1e-4, "weight_decay": 1e-4},
        **{"schedule": "exponential", "decay": 0.9},
        "augmentation": PLAIN | {"erase": 0.5, "erase_area": (0.02, 0.3)},
    },
    "man": {
        **(ADAM | ON_FACES),
        **{"epochs": 100, "batch_size": 128, "learning_rate": 1e-3, "weight_decay": 1e-4},
        **{"schedule": "exponential", "decay": 0.9},
        "augmentation": PLAIN
        | {"jitter": (0.25,) * 4, "jitter_probability": 0.5, "translate": 0.1, "scale": (1.0, 1.25)}
        | {"erase": 0.5, "erase_area": (0.02, 0.25)},
    },
    "resup": {
        **(ADAM | ON_FACES),
        **{"epochs": 30, "batch_size": 96, "learning_rate": 2e-4, "weight_decay": 0.0},
        **{"schedule": "steps", "decay": 0.1, "milestones": (10, 20)},
        "augmentation": PLAIN | {"erase": 0.5, "erase_area": (0.02, 0.25)},
    },
    # 0.1 for 50 epochs and 0.01 for 50; 32 px padded by 4 are 224 px padded by 28
    "cores:divided": {
        **(SGD | {"encoder": "resnet18", "weights": "none"}),
        **{"epochs": 100, "batch_size": 64, "learning_rate": 0.1, "momentum": 0.0, "weight_decay": 0.0},
        **{"schedule": "steps", "decay": 0.1, "milestones": (50,)},
        "augmentation": PLAIN | {"pad": 28},
    },
}


@pytest.mark.parametrize("name", STATED)
def test_a_native_recipe_has_the_stated_values(name: str) -> None:
    found, stated = asdict(NATIVE[name]), STATED[name]
    augmentation = stated["augmentation"]
    found["augmentation"] = {each: found["augmentation"][each] for each in augmentation}
    assert {each: found[each] for each in stated} == stated


def test_variants_have_the_recipe_of_their_method_unless_it_is_one_variant_s_alone() -> None:
    protocol = catalog.find("ferplus-sym")
    for name in ("nla", "nla:no-consistency", "man", "resup", "resup:first-network"):
        assert native_recipe(name, protocol) is NATIVE[name.partition(":")[0]]
        assert variants_with_a_recipe(name) == ()
    assert native_recipe("cores:divided", protocol) is NATIVE["cores:divided"]
    assert native_recipe("cores", protocol) is None
    assert variants_with_a_recipe("cores") == ("cores:divided",)
