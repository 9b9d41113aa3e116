"""Makes tests/golden/data/objective_*.safetensors: the InvP objective in double precision, written from the paper's and the
released code's formulas with sets and dictionaries, the gradient by central differences.

    python3 tests/golden/make_objective.py [numpy and safetensors needed]
"""

import pathlib

import numpy as np
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent / "data"
STEP = 1e-6


def discover(form, neighbors, i, steps):
    if form == "released":
        level, found = [i], []
        for _ in range(steps):
            level = [j for row in level for j in neighbors[row] if j >= 0]
            found += level
        return found
    distance, frontier = {i: 0}, [i]
    for step in range(1, steps + 1):
        frontier = [j for row in frontier for j in neighbors[row] if j >= 0]
        for j in frontier:
            distance.setdefault(j, step)
    return [j for j in distance if j != i]


def choose(positives, s, count, rule):
    order = sorted(range(len(positives)), key=lambda w: (s[positives[w]] * (1 if rule == "hard" else -1), w))
    return positives if rule == "all" else [positives[w] for w in order[:count]]


def refresh(s, i, k):
    best = [int(j) for j in np.argsort(-s, kind="stable")[: k + 1]]
    return ([j for j in best if j != i] if i in best else best[:-1])[:k]


def losses(form, s, i, tau, top, positives, hard):
    e = np.exp(s / tau)
    if form == "paper":
        ins = -np.log(e[i] / sum(e[j] for j in set(top) | {i}))
        if not hard:
            return ins, 0.0
        base = (set(top) - set(positives) - {i}) | set(hard)
        return ins, -np.log(sum(e[p] for p in hard) / sum(e[j] for j in base))
    total = sum(e[j] for j in top)
    ins = -np.log(e[i] / total + 1e-7)
    return ins, -np.log(sum(e[p] for p in hard) / (total - e[i]) + 1e-7) if hard else 0.0


def make(name, form, rule, seed, n, d, b, k, steps, tau, top_count, hard_count, lam, unset):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(6, d))
    bank = centres[rng.integers(0, 6, n)] + 0.7 * rng.normal(size=(n, d))
    bank = (bank / np.linalg.norm(bank, axis=1, keepdims=True)).astype(np.float32)
    features = (3 * rng.normal(size=(b, d))).astype(np.float32)
    indices = rng.permutation(n)[:b]
    features += 2 * d**0.5 * bank[indices]
    neighbors = np.argsort(-(bank @ bank.T) + 0.3 * rng.normal(size=(n, n)), axis=1)[:, 1 : k + 1]
    neighbors[rng.random(n) < unset] = -1
    neighbors[indices[0]] = -1

    rows = bank.astype(np.float64)
    x = features.astype(np.float64)
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    out = {"ins": 0.0, "inv": 0.0}
    grad = np.zeros_like(x)
    all_hard, new_neighbors = [], []
    for q in range(b):
        i, s = int(indices[q]), rows @ units[q]
        top = [int(j) for j in np.argsort(-s, kind="stable")[:top_count]]
        positives = [int(j) for j in discover(form, neighbors, i, steps)]
        hard = choose(positives, s, hard_count, rule)

        def both(vector):
            return losses(form, rows @ (vector / np.linalg.norm(vector)), i, tau, top, positives, hard)

        ins, inv = both(x[q])
        out["ins"] += ins / b
        out["inv"] += inv / b
        for c in range(d):
            at = [x[q].copy(), x[q].copy()]
            at[0][c] -= STEP
            at[1][c] += STEP
            low, high = (v[0] + lam * v[1] for v in map(both, at))
            grad[q, c] = (high - low) / (2 * STEP) / b
        all_hard.append(sorted(hard))
        new_neighbors.append(sorted(refresh(s, i, k)))
    new_bank = 0.5 * rows[indices] + 0.5 * units
    width = max(map(len, all_hard))
    save_file(
        {
            "features": features,
            "indices": indices.astype(np.int64),
            "bank": bank,
            "neighbors": neighbors.astype(np.int64),
            "want_loss": np.array(out["ins"] + lam * out["inv"], dtype=np.float32),
            "want_loss_ins": np.array(out["ins"], dtype=np.float32),
            "want_loss_inv": np.array(out["inv"], dtype=np.float32),
            "want_grad_features": grad.astype(np.float32),
            "want_new_bank": (new_bank / np.linalg.norm(new_bank, axis=1, keepdims=True)).astype(np.float32),
            "want_hard_positives": np.array([h + [-1] * (width - len(h)) for h in all_hard], dtype=np.int64),
            "want_new_neighbors": np.array(new_neighbors, dtype=np.int64),
        },
        HERE / f"objective_{name}.safetensors",
        metadata={
            "objective": form,
            "positives": rule,
            "tau": str(tau),
            "background": str(top_count),
            "hard_positives": str(hard_count),
            "steps": str(steps),
            "lambda": str(lam),
        },
    )


if __name__ == "__main__":
    make("paper", "paper", "hard", 1, n=400, d=24, b=8, k=4, steps=3, tau=0.07, top_count=64, hard_count=20, lam=0.6, unset=0.1)
    make("paper_easy", "paper", "easy", 2, n=90, d=17, b=5, k=3, steps=2, tau=0.2, top_count=200, hard_count=6, lam=1.5, unset=0.3)
    make("released", "released", "hard", 3, n=400, d=24, b=8, k=4, steps=3, tau=0.07, top_count=64, hard_count=50, lam=0.6, unset=0.1)
    make("released_all", "released", "all", 4, n=60, d=9, b=4, k=2, steps=4, tau=0.1, top_count=12, hard_count=5, lam=0.6, unset=0.2)
