"""Makes tests/golden/data/tsne.safetensors: what scikit-learn's t-SNE computes on its way from 90 points of 6 dimensions, in
double precision: conditional and joint probabilities of the exact method, KL divergence and gradient at a given map, and the
divergence its descent comes to.

    python3 tests/golden/make_tsne.py [numpy, scikit-learn and safetensors needed]
"""

import pathlib

import numpy as np
from safetensors.numpy import save_file
from scipy.spatial.distance import squareform
from sklearn.manifold import TSNE
from sklearn.manifold._t_sne import _joint_probabilities, _kl_divergence

HERE = pathlib.Path(__file__).parent / "data"
PERPLEXITY = 12.0
N, D, CLASSES = 90, 6, 5

rng = np.random.default_rng(7)
labels = np.arange(N) % CLASSES
x = (3 * rng.normal(size=(CLASSES, D))[labels] + rng.normal(size=(N, D))).astype(np.float32)
# The engine divides by the largest absolute value after centring: distances in those units.
prepared = x.astype(np.float64) - x.astype(np.float64).mean(axis=0)
prepared /= np.abs(prepared).max()
distances2 = ((prepared[:, None] - prepared[None]) ** 2).sum(-1).astype(np.float32)
joint = _joint_probabilities(distances2, PERPLEXITY, 0)
y = (8 * rng.normal(size=(N, 2))).astype(np.float32)
kl, gradient = _kl_divergence(y.astype(np.float64).ravel(), joint, 1.0, N, 2)
# scikit-learn's gradient has the factor 4.
descent = min(
    TSNE(perplexity=PERPLEXITY, init="random", method="exact", random_state=seed).fit(prepared).kl_divergence_
    for seed in range(5)
)
save_file(
    {
        "features": x,
        "joint": squareform(joint).astype(np.float32),
        "map": y,
        "kl": np.array([kl], np.float32),
        "gradient": (gradient.reshape(N, 2) / 4).astype(np.float32),
        "best_kl": np.array([descent], np.float32),
        "perplexity": np.array([PERPLEXITY], np.float32),
    },
    HERE / "tsne.safetensors",
)
