"""The maths of MLCR in NumPy, from its equations, to compare with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
EPS = 0.001


def log_loss(z: Array, t: Array) -> Array:
    return np.logaddexp(0.0, z) - t * z


def sigma(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def entropy(p: Array) -> Array:
    return -(p * np.log(p) + (1 - p) * np.log(1 - p))


def mv_by_numpy(nodes1: Array, nodes2: Array, absolute: bool = True) -> float:
    lengths = np.linalg.norm(nodes1, axis=1) * np.linalg.norm(nodes2, axis=1)
    cosine = (nodes1 * nodes2).sum(1) / lengths
    return float((np.abs(cosine) if absolute else cosine).mean())


def cr_by_numpy(z1: Array, z2: Array) -> float:
    p1, p2 = sigma(z1), sigma(z2)
    return float((entropy((p1 + p2) / 2) - (entropy(p1) + entropy(p2)) / 2).mean())


def compat_by_numpy(z1: Array, z2: Array) -> float:
    def single(z: Array) -> float:
        p = sigma(z)
        p = p[(p >= EPS) & (p <= 1 - EPS)]
        return float(np.mean(-(p * np.log(p) + (1 - p + EPS) * np.log(1 - p + EPS)))) if p.size else 0.0

    m = (sigma(z1) + sigma(z2)) / 2
    m = m[(m >= EPS) & (m <= 1 - EPS)]
    both = float(np.mean(-((m + EPS) * np.log(m + EPS) + (1 - m + EPS) * np.log(1 - m + EPS)))) if m.size else 0.0
    return abs(both - (single(z1) + single(z2)) / 2)


def graph_by_numpy(x: Array, a: Array, h0: Array, h1: Array, slope: float = 0.2) -> Array:
    hidden = a @ (x @ h0)
    return a @ (np.where(hidden > 0, hidden, slope * hidden) @ h1)


def dependency_by_loop(labels: Array) -> Array:
    count = labels.shape[1]
    out = np.full((count, count), 0.5)
    for i in range(count):
        for j in range(count):
            known = labels[(labels[:, i] != 0) & (labels[:, j] != 0)]
            on, off = known[known[:, j] == 1], known[known[:, j] == -1]
            if len(on) and len(off):
                out[i, j] = 0.5 * ((on[:, i] == 1).mean() + (off[:, i] == -1).mean())
            if i == j:
                out[i, j] = 1.0
    return out
