"""Weighted kNN of random unit vectors: PyTorch (matmul and topk) or FAISS (IndexFlatIP)."""

import argparse

import common

if __name__ == "__main__":
    common.tune_environment()

import torch
from torch.nn import functional as F

CLASSES = 1000


def vote(similarities, labels, tau):
    """Classes of [q, K] neighbors, each weighing exp(s / tau)."""
    scores = torch.zeros(len(labels), CLASSES)
    scores.scatter_add_(1, labels, torch.exp(similarities / tau))
    return scores.argmax(1)


def torch_search(bank, queries, k, chunk):
    parts = [(rows @ bank.t()).topk(k, dim=1, sorted=False) for rows in queries.split(chunk)]
    return torch.cat([p.values for p in parts]), torch.cat([p.indices for p in parts])


def faiss_search(bank, k, threads):
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(bank.shape[1])
    index.add(bank.numpy())

    def search(queries):
        values, rows = index.search(queries.numpy(), k)
        return torch.from_numpy(values), torch.from_numpy(rows)

    return search


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bank", type=int, default=1281167)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--k", type=int, default=200)
    parser.add_argument("--tau", type=float, default=0.07)
    parser.add_argument("--chunk", type=int, default=128, help="queries a matmul (torch)")
    parser.add_argument("--library", choices=["torch", "faiss"], default="faiss")
    common.add_common_arguments(parser, repeats=3)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    bank = torch.randn(args.bank, args.dim)
    bank /= bank.norm(dim=1, keepdim=True)
    labels = torch.randint(CLASSES, (args.bank,))
    queries = F.normalize(torch.randn(args.queries, args.dim), dim=1)
    if args.library == "faiss":
        search = faiss_search(bank, args.k, torch.get_num_threads())
        del bank  # the index holds its own copy
    else:
        search = lambda q: torch_search(bank, q, args.k, args.chunk)

    def classify():
        similarities, rows = search(queries)
        return vote(similarities, labels[rows], args.tau)

    times = common.measure(classify, args.repeats, 1)
    common.report(times, args.queries, "queries_per_second", library=args.library)


if __name__ == "__main__":
    main()
