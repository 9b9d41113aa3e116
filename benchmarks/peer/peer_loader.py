"""JPEG bytes in memory to augmented, normalised tensors: Pillow and torchvision, per process.

The pipeline is the ImageNet recipe of the paper: random resized crop, color jitter, gray, blur,
flip. `--workers N` runs N processes of one thread; the rate is their sum.
"""

import argparse
import io
import multiprocessing
import pathlib
import random

import common

if __name__ == "__main__":
    common.tune_environment(threads=1)

import torch
from PIL import Image, ImageFilter
from torchvision import transforms

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Blur:
    def __init__(self, low, high):
        self.low, self.high = low, high

    def __call__(self, image):
        return image.filter(ImageFilter.GaussianBlur(random.uniform(self.low, self.high)))


def pipeline(size):
    jitter = transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.2, 1.0)),
            transforms.RandomApply([jitter], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            transforms.RandomApply([Blur(0.1, 2.0)], p=0.5),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )


def photographs(folder, limit):
    paths = sorted(
        p for p in pathlib.Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg")
    )
    if not paths:
        raise SystemExit(f"{folder}: no .jpg or .jpeg file in it")
    step = max(1, len(paths) // limit)  # spread over all classes
    return [path.read_bytes() for path in paths[::step][:limit]]


def passes(files, args, seed, repeats):
    """Milliseconds per pass over the files, each ending in ready batches."""
    torch.set_num_threads(1)
    random.seed(seed), torch.manual_seed(seed)
    augment = pipeline(args.image_size)

    def one_pass():
        batch = []
        for data in files:
            batch.append(augment(Image.open(io.BytesIO(data)).convert("RGB")))
            if len(batch) == args.batch_size:
                torch.stack(batch)
                batch = []

    return common.measure(one_pass, repeats, 1)


def worker(files, args, seed, results):
    results.put(passes(files, args, seed, args.repeats))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder of JPEG files, searched downwards")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    common.add_common_arguments(parser, repeats=5)
    args = parser.parse_args()

    files = photographs(args.data, args.images)
    if args.workers == 1:
        times = passes(files, args, args.seed, args.repeats)
    else:
        results = multiprocessing.Queue()
        crew = [
            multiprocessing.Process(target=worker, args=(files, args, args.seed + i, results))
            for i in range(args.workers)
        ]
        for process in crew:
            process.start()
        shares = [results.get() for _ in crew]
        for process in crew:
            process.join()
        times = [sum(t) / len(t) for t in zip(*shares)]
    common.report(times, len(files) * args.workers, workers=args.workers)


if __name__ == "__main__":
    main()
