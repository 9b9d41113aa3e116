#!/usr/bin/env python3
"""Holds the steps of `invp data apply` against Pillow and torchvision on real photographs.

Each step by itself and chains of them, with random parameters; no pixel may differ by more than one
gray level, behind a chain two. Needs torchvision and Pillow. Pillow 9.4, whose arithmetic this is,
agrees to the bit; newer ones resize in another order, and a few chains then differ by more.
"""

import pathlib
import random
import sys
import tempfile

import numpy
from PIL import Image, ImageFilter
from torchvision.transforms import functional as T

sys.dont_write_bytecode = True
import program


def crop(image, rng):
    w, h = rng.randint(1, image.width), rng.randint(1, image.height)
    x, y = rng.randint(0, image.width - w), rng.randint(0, image.height - h)
    return f"crop:x={x},y={y},w={w},h={h}", image.crop((x, y, x + w, y + h))


def resize(image, rng):
    w, h = rng.randint(1, 400), rng.randint(1, 400)
    return f"resize:w={w},h={h}", image.resize((w, h), Image.Resampling.BILINEAR)


def resize_shorter(image, rng):
    size = rng.randint(32, 300)
    return f"resize-shorter:size={size}", T.resize(image, size)


def center_crop(image, rng):
    size = rng.randint(1, min(image.size))
    return f"center-crop:size={size}", T.center_crop(image, size)


def factor_step(name, low, high, apply):
    def step(image, rng):
        factor = round(rng.uniform(low, high), 4)
        return f"{name}:f={factor}", apply(image, factor)

    return step


def grayscale(image, rng):
    return "grayscale", T.to_grayscale(image, 3)


def blur(image, rng):
    sigma = round(rng.uniform(0.1, 2.0), 4)
    return f"blur:sigma={sigma}", image.filter(ImageFilter.GaussianBlur(sigma))


def hflip(image, rng):
    return "hflip", T.hflip(image)


COLOR = [
    factor_step("brightness", 0.6, 1.4, T.adjust_brightness),
    factor_step("contrast", 0.6, 1.4, T.adjust_contrast),
    factor_step("saturation", 0.6, 1.4, T.adjust_saturation),
    factor_step("hue", -0.1, 0.1, T.adjust_hue),
]
STEPS = [crop, resize, resize_shorter, center_crop, *COLOR, grayscale, blur, hflip]


def chain(rng):
    """The order of the ImageNet recipe: crop, resize, jitter in any order, blur, flip."""
    return [crop, resize, *rng.sample(COLOR, len(COLOR)), blur, hflip]


def check(score, args, photo, steps, rng, target):
    image = Image.open(photo).convert("RGB")
    texts = []
    for step in steps:
        text, image = step(image, rng)
        texts.append(text)
    name = texts[0].split(":")[0] if len(texts) == 1 else ("chain" if texts else "decode")
    what = f"{photo.name} {' '.join(texts)}"
    options = [part for text in texts for part in ("--step", text)]
    try:
        program.run(args.invp, "data", "apply", photo, "--to", target, *options)
    except RuntimeError as error:
        score.fail(f"{name}: {error} ({what})")
        return
    got = numpy.asarray(Image.open(target).convert("RGB"), dtype=int)
    wanted = numpy.asarray(image, dtype=int)
    if got.shape != wanted.shape:
        score.fail(f"{name}: {got.shape}, wanted {wanted.shape} ({what})")
        return
    # Pillow from 10 on resizes columns first where that is cheaper, one level away from the order the
    # recipes were made with; brightness and contrast behind it can make that two.
    allowed = 2 if name == "chain" else 1
    score.check(name, int(abs(got - wanted).max()), allowed, f"({what})")


def main():
    parser = program.parser(__doc__)
    parser.add_argument("photos", help="folder of photographs, searched downwards")
    parser.add_argument("--count", type=int, default=10, help="photographs to use")
    args = parser.parse_args()

    rng = random.Random(args.seed)
    suffixes = (".jpg", ".jpeg", ".png")
    found = sorted(p for p in pathlib.Path(args.photos).rglob("*") if p.suffix.lower() in suffixes)
    if not found:
        parser.error(f"{args.photos}: no photograph in it")
    score = program.Score()
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / "out.png"
        for photo in rng.sample(found, min(args.count, len(found))):
            check(score, args, photo, [], rng, target)
            for step in STEPS:
                check(score, args, photo, [step], rng, target)
            check(score, args, photo, chain(rng), rng, target)
    score.finish()


if __name__ == "__main__":
    main()
