"""Writes copies of photographs at 500x375 (or 375x500), quality 90: ImageNet's usual size.

Both sides of the loader comparison then read the same files. The folder structure is kept.
"""

import argparse
import pathlib

from PIL import Image


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--limit", type=int, default=400)
    args = parser.parse_args()
    source = pathlib.Path(args.source)
    paths = sorted(p for p in source.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    if not paths:
        parser.error(f"{source}: no .jpg or .jpeg file in it")
    kept = paths[:: max(1, len(paths) // args.limit)][: args.limit]
    for path in kept:
        image = Image.open(path).convert("RGB")
        size = (500, 375) if image.width >= image.height else (375, 500)
        target = pathlib.Path(args.target) / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        image.resize(size, Image.Resampling.BICUBIC).save(target, quality=90)
    print(f"{len(kept)} photographs written to {args.target}")


if __name__ == "__main__":
    main()
