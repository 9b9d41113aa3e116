#!/usr/bin/env python3
"""t-SNE by scikit-learn or openTSNE: times the whole way from features to map, writes the map and prints one JSON line."""

import argparse
import json
import resource
import time

import numpy as np
from safetensors.numpy import load_file, save_file

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--features", required=True)
parser.add_argument("--to", required=True, help="points.safetensors")
parser.add_argument("--peer", choices=["sklearn", "opentsne"], default="sklearn")
parser.add_argument("--perplexity", type=float, default=30)
parser.add_argument("--iterations", type=int, default=1000)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

x = load_file(args.features)["features"]
start, cpu = time.perf_counter(), time.process_time()
if args.peer == "sklearn":
    from sklearn.manifold import TSNE

    model = TSNE(
        perplexity=args.perplexity, max_iter=args.iterations, init="pca", learning_rate="auto", n_jobs=args.threads
    )
    points = model.fit_transform(x)
    kl = float(model.kl_divergence_)
else:
    from openTSNE import TSNE

    points = TSNE(
        perplexity=args.perplexity, n_iter=args.iterations - 250, n_jobs=args.threads, random_state=0
    ).fit(x)
    kl = float(points.kl_divergence)
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
save_file({"points": np.ascontiguousarray(points, dtype=np.float32)}, args.to)
print(
    json.dumps(
        {
            "ms": 1e3 * seconds,
            "cpu_ms": 1e3 * cpu,
            "kl": kl,
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
    )
)
