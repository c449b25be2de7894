"""Made-up claims and records without a disk: what the tests of the claims read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fernoise_bench.results import metrics
from fernoise_bench.results.claims.claim import Claim, Place, Side
from fernoise_bench.results.claims.settings import setting
from fernoise_bench.results.claims.significance import measured, with_significance
from fernoise_bench.results.claims.verdicts import verdicts
from fernoise_bench.results.records.record import Score
from fernoise_bench.results.records.subject_counts import Subjects

from .fabricate import Trial, record_of

RULES = ("last", "last_five", "validation", "oracle")


def record(headline=0.5, *, per_label=(0.5,) * 4, confusion=None, audit=None, rules=None, **trial):
    """A finished record with this score under every rule but those given, or one that is not done."""
    made_up = Trial(**{"protocol": "rafdb-sym", "level": None, "profile": "paper", "copies": 0, **trial})
    scores = {rule: Score((rules or {}).get(rule, headline), tuple(per_label), None) for rule in RULES}
    scores = scores if made_up.state == "done" else {}
    return record_of(made_up, scores, audit=audit or {}, test={"confusion": confusion or []})


def runs(headlines, **trial):
    """A record a seed, with these scores."""
    return [record(headline, seed=seed, **trial) for seed, headline in enumerate(headlines)]


def au_record(skill, seed, fold, *, method="recot", people=8, frames=40, protocol="bp4d-3fold"):
    """A record of three AUs, so many subjects a fold, a share `skill` of whose entries is predicted right."""
    generator = np.random.default_rng([seed, int(fold[-1]), 7])  # not the method: methods see the same faces
    truth = generator.random((people, frames, 3)) < 0.4
    right = generator.random((people, frames, 3)) < skill
    shown = np.where(right, truth, ~truth)
    cells = (shown & truth, shown & ~truth, ~shown & truth, ~shown & ~truth)
    counts = np.stack([cell.sum(axis=1) for cell in cells], axis=2)
    f1 = metrics.f1_of(counts.sum(axis=0))
    made = record(f1.mean(), per_label=f1, kind="multi", method=method, seed=seed, fold=fold, protocol=protocol)
    names = tuple(f"{fold}-{person}" for person in range(people))
    return replace(made, subjects=Subjects(names, counts.astype(np.uint16)))


def au_runs(skill, seeds=2, folds=("part1", "part2", "part3"), **more):
    return [au_record(skill, seed, fold, **more) for seed in range(seeds) for fold in folds]


def sample(relation, left, right, records, levels=(None,)):
    """The tested sample of two sides whose records are of one setting; or why there is none."""
    own = setting(records)
    found = measured(relation, left, right, dict.fromkeys(levels, own))
    return found if isinstance(found, str) else with_significance([found])[0]


def claim(relation=">", left="cocuring", right="nct", *, measure="score", places=None, id="paper/statement", **more):
    """A claim of the paper "paper"."""
    return Claim(
        **{
            "id": id,
            "paper": "paper",
            "name": "A paper",
            "statement": "statement",
            "quote": "ours is better",
            "where": "Table 1",
            "left": Side(left, measure),
            "right": None if right is None else Side(right, measure),
            "unmeasured": (),
            "relation": relation,
            "at_least": {},
            "places": places or (Place("rafdb-sym", (None,)),),
            "printed": {},
            "remarks": (),
            **more,
        }
    )


EIGHT = [0.01, 0.02, 0.015, 0.03, 0.01, 0.02, 0.025, 0.01]


def ahead(by, *, base=0.7, left="cocuring", right="nct", **trial):
    """Records of two methods whose differences, one a seed, are these."""
    return [
        *runs([base + each for each in by], method=left, **trial),
        *runs([base for _ in by], method=right, **trial),
    ]


def only(records, made):
    """The one verdict of a claim on one protocol."""
    (found,) = verdicts(records, [made])
    return found
