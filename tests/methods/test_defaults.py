"""The hyper-parameters that papers and authors' code state, once more: a default that moves unnoticed moves a table."""

from __future__ import annotations

import pytest

from fernoise_bench.benchmark.registry import find
from fernoise_bench.methods.recot import STATED_REFINEMENT
from fernoise_bench.protocols import catalog

STATED = {
    "asymmetric_loss": {"gamma_negative": 4.0, "gamma_positive": 0.0, "margin": 0.05, "detach_focus": False},
    "bootstrapping": {"weight": 0.8, "hard": False},
    "bootstrapping:hard": {"weight": 0.8, "hard": True},
    "cocuring_multi": {"maximum": 0.9, "beta": 0.65, "ramp_share": 0.9, "margin": 0.7},
    "deep_co_training": {
        **{"agreement_factor": 10.0, "difference_factor": 0.5, "epsilon": 0.02},
        **{"ramp_epochs": 80, "ramp_stated_for": 600, "adversarial": True},
    },
    "distillation": {"weight": 0.5, "temperature": 1.0},
    "fixmatch_multi": {
        **{"mode": "fixed", "cutoff": 0.95, "weight": 1.0, "decay": 0.999, "ema": True},
        **{"class_from": 12, "class_stated_for": 40, "keep_positive": 1.0, "keep_negative": 0.998},
    },
    "fixmatch_multi:class": {"mode": "class"},
    "fixmatch_multi:free": {"mode": "free"},
    "fixmatch_multi:no-ema": {"ema": False},
    "hill": {"lam": 1.5, "margin": 1.0, "gamma": 2.0, "posterior": False},
    "hill:posterior": {"lam": 1.5, "margin": 1.0, "gamma": 2.0, "posterior": True},
    "forward_correction_multi": {"rates": "anchor", "filter_outliers": True},
    "hlc": {"delta": 0.4, "beta": 0.5, "start": 5, "stop": 10, "stated_for": 30, "graph": True, "correct": True},
    "hlc:label-dependence-only": {"beta": 0.0, "graph": True},
    "hlc:no-graph": {"beta": 1.0, "graph": False},
    "jocor_multi": {"co_lambda": 0.9, "ramp_epochs": 10},
    "jocor_multi:lambda-0.1": {"co_lambda": 0.1},
    "label_smoothing": {"epsilon": 0.1},
    "mean_teacher": {"consistency_factor": 10.0, "ramp_share": 0.2, "decay": 0.999, "decay_stated_for": 21_000},
    "mixup": {"alpha": 1.0},
    "noise_regularization": {"weight": 1.0},
    "mlcr": {"multi_view_factor": 400.0, "co_regularization_factor": 100.0, "slope": 0.2, "selective": "mlcr"},
    "mlcr:hand": {"selective": "hand"},
    "mlcr:no-selective": {"selective": "none"},
    "noise_rate_reweighting": {
        **{"warm_up": 20, "sample_epoch": 10, "warm_up_stated_for": 40, "window": 5, "threshold": 0.5},
        **{"minimum": 50, "slack": 0.3, "rates": "correlation", "known_right": "none", "reweight": True},
    },
    "recot": {
        **{"pos_weight": 1.0, "neg_weight": 0.1, "keep_ratio": 0.9, "fusion_ratio": 0.9, "momentum": 0.9},
        **{"noisy_factor": 1.0, "consistency_factor": 100.0, "reduction": "sum", "selective": "mlcr"},
    },
    "recot:hand": {"selective": "hand"},
    "recot:hidden": {"head_hidden": 512},
    "recot:no-selective": {"selective": "none"},
    "recot:printed": {"reduction": "mean"},
    "rhls": {"rhls_beta": 0.25},
    "splc": {
        **{"tau": 0.6, "change_epoch": 1, "stated_for": 80, "margin": 1.0, "gamma": 2.0},
        **{"keep_verified": False, "posterior": False},
    },
    "splc:keep-verified": {"keep_verified": True},
    "splc:posterior": {"posterior": True},
}


@pytest.mark.parametrize("name", STATED)
def test_what_is_stated_is_the_default(name: str) -> None:
    params = find(name).params_as_json()
    assert {key: params[key] for key in STATED[name]} == STATED[name]


@pytest.mark.parametrize("name", ["bp4d-3fold", "disfa-3fold"])
def test_recot_has_one_k_for_the_epochs_of_its_paper_and_of_its_appendix(name: str) -> None:
    printed, appendix = catalog.find(name), catalog.find(f"{name}:30-epochs")
    assert (printed.paper.recipe.epochs, appendix.paper.recipe.epochs) == (25, 30)
    assert STATED_REFINEMENT[25] == STATED_REFINEMENT[30] == 15
    assert (appendix.small, appendix.smoke) == (printed.small, printed.smoke)
