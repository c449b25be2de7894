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

WHOLE: dict[str, dict[str, object]] = {  # every hyper-parameter of the method
    "cores": {"start": 10, "ramp": 30, "sieve": 31, "stated_for": 100, "maximum": 2.0, "divide": False},
    "disc": {
        **{"start": 20, "momentum": 0.99, "stated_for": 200, "sigma": 0.5, "ceiling": 0.99},
        **{"hard_weight": 1.0, "q": 0.7, "alpha": 5.0},
    },
    "forward_correction": {
        **{"warm_up": 20, "warm_up_stated_for": 200, "quantile": 0.97, "least_share": 0.1},
        **{"correction": "forward", "transition": "estimated"},
    },
    "man": {
        **{"warm_up": 10, "warm_up_stated_for": 100, "maximum": 0.9, "beta": 0.65},
        **{"mutual_weight": 0.6, "consistency_weight": 1.0},
    },
    "nla": {
        **{"slope": 15.0, "agreeing_mean": [0.5, 0.5], "agreeing_spread": [0.8, 2.0]},
        **{"disagreeing_mean": [0.30, 0.15], "disagreeing_spread": [0.91, 6.0], "detach_weights": False},
        **{"cross_entropy_weight": 0.5, "adaptive_weight": 0.5, "consistency_weight": 16.0},
    },
    "resup": {"iterations": 10, "resolution": 100, "consistency_weight": 5.0, "warm_up": 1, "predicts": "both"},
    "soft_labels": {"mode": "distribution", "epsilon": 0.001},
    "sop": {
        **{"rate_u": 10.0, "rate_v": 10.0, "rate_batch": 128, "deviation": 1e-8},
        **{"balance": 0.0, "consistency": 0.0},
    },
    "volminnet": {"start": -2.0, "volume_weight": 1e-4, "learning_rate": 0.01},
}
CHANGES: dict[str, dict[str, object]] = {  # every variant of those
    "cores:divided": {"divide": True},
    "disc:hard-0.2": {"hard_weight": 0.2},
    "forward_correction:backward": {"correction": "backward"},
    "forward_correction:late": {"warm_up": 10, "warm_up_stated_for": 30},
    "forward_correction:true": {"transition": "true"},
    "nla:detached-weights": {"detach_weights": True},
    "nla:no-consistency": {"consistency_weight": 0.0},
    "nla:unweighted": {"cross_entropy_weight": 1.0, "adaptive_weight": 0.0},
    "resup:first-network": {"predicts": "first"},
    "soft_labels:drawn": {"mode": "drawn"},
    "soft_labels:majority": {"mode": "majority"},
    "soft_labels:multi-target": {"mode": "multi-target"},
    "sop:plus": {"balance": 0.1, "consistency": 0.9},
}


@pytest.mark.parametrize("name", STATED)
def test_what_is_stated_is_the_default(name: str) -> None:
    params = find(name).params_as_json()
    assert {key: params[key] for key in STATED[name]} == STATED[name]


@pytest.mark.parametrize("name", [*WHOLE, *CHANGES])
def test_all_that_is_stated_is_the_default(name: str) -> None:
    assert find(name).params_as_json() == WHOLE[name.partition(":")[0]] | CHANGES.get(name, {})


def test_every_variant_is_stated() -> None:
    assert {f"{name}:{variant}" for name in WHOLE for variant in find(name).load().variants} == set(CHANGES)


@pytest.mark.parametrize("name", ["bp4d-3fold", "disfa-3fold"])
def test_recot_has_one_k_for_the_epochs_of_its_paper_and_of_its_appendix(name: str) -> None:
    printed, appendix = catalog.find(name), catalog.find(f"{name}:30-epochs")
    assert (printed.paper.recipe.epochs, appendix.paper.recipe.epochs) == (25, 30)
    assert STATED_REFINEMENT[25] == STATED_REFINEMENT[30] == 15
    assert (appendix.small, appendix.smoke) == (printed.small, printed.smoke)
