#!/usr/bin/env python3
"""Makes tests/golden/data/augment and tests/golden/data/images with Pillow and torchvision.

augment/: source.png, and cases.tsv with lines "step step ...<TAB>file of the result".
images/:  small odd and broken files, and expected.tsv with lines "file<TAB>PNG of the pixels" or
          "file<TAB>!<TAB>part of the error".

Newer versions of Pillow resize columns first where that is cheaper; the cases here are such that all
versions resize rows first.
"""
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter
from torchvision.transforms import functional as F

HERE = Path(__file__).parent / "data"


def picture(width, height, seed):
    """Smooth colors, hard edges and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 100 * np.sin(x / (3 + c) + y / (7 - c) + c) for c in range(3)]
    pixels = np.stack(planes, -1) + rng.normal(0, 12, (height, width, 3))
    pixels[height // 3 : height // 2, width // 4 : width // 2] = (250, 30, 5)
    pixels[: height // 5] = rng.integers(0, 256, 3)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def step(image, text):
    name, _, rest = text.partition(":")
    v = {k: float(x) for k, x in (p.split("=") for p in rest.split(",") if p)}
    n = {k: int(x) for k, x in v.items()}
    if name == "crop":
        return image.crop((n["x"], n["y"], n["x"] + n["w"], n["y"] + n["h"]))
    if name == "resize":
        return image.resize((n["w"], n["h"]), Image.BILINEAR)
    if name == "resize-shorter":
        return F.resize(image, n["size"])
    if name == "center-crop":
        return F.center_crop(image, n["size"])
    if name == "brightness":
        return ImageEnhance.Brightness(image).enhance(v["f"])
    if name == "contrast":
        return ImageEnhance.Contrast(image).enhance(v["f"])
    if name == "saturation":
        return ImageEnhance.Color(image).enhance(v["f"])
    if name == "hue":
        return F.adjust_hue(image, v["f"])
    if name == "grayscale":
        return F.to_grayscale(image, 3)
    if name == "blur":
        return image.filter(ImageFilter.GaussianBlur(v["sigma"]))
    if name == "hflip":
        return F.hflip(image)
    raise ValueError(text)


CASES = """
resize:w=24,h=31
resize:w=61,h=20
resize:w=13,h=47
resize:w=90,h=75
resize:w=7,h=64
resize-shorter:size=32
center-crop:size=30
crop:x=5,y=9,w=40,h=31 resize:w=32,h=32
brightness:f=0.6371
brightness:f=1.3917
brightness:f=0
contrast:f=0.6049
contrast:f=1.3333
contrast:f=1
saturation:f=0
saturation:f=0.7117
saturation:f=1.3999
hue:f=0.0713
hue:f=-0.1
hue:f=0.5
hue:f=-0.05
grayscale
blur:sigma=0.1
blur:sigma=0.57
blur:sigma=1.43
blur:sigma=2
blur:sigma=7.5
hflip
crop:x=2,y=3,w=50,h=40 resize:w=32,h=32 saturation:f=1.21 hue:f=-0.04 brightness:f=0.9 contrast:f=1.1 blur:sigma=0.8 hflip
"""


def make_augment():
    folder = HERE / "augment"
    folder.mkdir(parents=True, exist_ok=True)
    source = picture(61, 47, 1)
    source.save(folder / "source.png")
    lines = []
    for i, case in enumerate(CASES.strip().splitlines()):
        image = source
        for text in case.split():
            image = step(image, text)
        name = f"{i:02}.png"
        image.save(folder / name, optimize=True)
        lines.append(f"{case}\t{name}\n")
    (folder / "cases.tsv").write_text("".join(lines))


def chunk(name, data):
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, depth, color, rows):
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def make_images():
    folder = HERE / "images"
    folder.mkdir(parents=True, exist_ok=True)
    lines = []

    def good(name, data, expected=None):
        (folder / name).write_bytes(data)
        if expected is None:
            expected = Image.open(io.BytesIO(data)).convert("RGB")
        expected.save(folder / (name + ".expected.png"), optimize=True)
        lines.append(f"{name}\t{name}.expected.png\n")

    def bad(name, data, reason):
        (folder / name).write_bytes(data)
        lines.append(f"{name}\t!\t{reason}\n")

    rgb = picture(23, 17, 2)
    jpeg, plain = saved(rgb, "JPEG", quality=90), saved(rgb, "PNG")
    good("cmyk.jpg", saved(rgb.convert("CMYK"), "JPEG", quality=95))
    good("gray.jpg", saved(rgb.convert("L"), "JPEG"))
    good("progressive.jpg", saved(rgb, "JPEG", progressive=True))
    good("sampling-422.jpg", saved(rgb, "JPEG", subsampling=1))
    good("palette.png", saved(rgb.quantize(5), "PNG"))
    good("palette-transparent.png", saved(rgb.quantize(5), "PNG", transparency=2))
    good("one-bit.png", saved(rgb.convert("1"), "PNG"))
    alpha = picture(23, 17, 3).convert("L")
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    good("alpha.png", saved(rgba, "PNG"), rgb)
    gray_alpha = rgba.convert("LA")
    good("gray-alpha.png", saved(gray_alpha, "PNG"), gray_alpha.getchannel(0).convert("RGB"))
    rng = np.random.default_rng(4)
    deep = rng.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    good("deep.png", png(7, 5, 16, 2, [row.astype(">u2").tobytes() for row in deep]),
         Image.fromarray((deep >> 8).astype(np.uint8)))
    gray = deep[..., 0]
    near = np.round(gray / 257.0).astype(np.uint8)
    good("deep-gray.png", png(7, 5, 16, 0, [row.astype(">u2").tobytes() for row in gray]),
         Image.fromarray(np.stack([near] * 3, -1)))
    good("png-named.jpg", plain)
    good("jpeg-named.png", jpeg)
    good("colors.bmp", saved(rgb, "BMP"))
    good("colors.gif", saved(rgb.quantize(16), "GIF"))
    good("colors.ppm", saved(rgb, "PPM"))
    exif = Image.Exif()
    exif[0x0112] = 6
    good("turned.jpg", saved(rgb, "JPEG", exif=exif))  # the stored picture is what is expected

    bad("truncated.jpg", jpeg[: len(jpeg) * 3 // 4], "cut short")
    bad("truncated-header.jpg", jpeg[:200], "JPEG")
    bad("truncated.png", plain[: len(plain) // 2], "cut short")
    bad("truncated.bmp", saved(rgb, "BMP")[:300], "cut short")
    bad("zero-byte.jpg", b"", "empty")
    bad("text.jpg", b"not found\n", "not a picture")
    bad("page.jpeg", b"<html><body>404</body></html>", "HTML")
    bad("zeros.png", bytes(100), "not a picture")
    bad("bomb.png", png(60000, 60000, 8, 2, [b""]), "60000 x 60000")
    bad("zero-width.png", png(0, 4, 8, 2, [b""]), "PNG")
    bad("signature.png", plain[:8], "PNG")
    (folder / "expected.tsv").write_text("".join(lines))


if __name__ == "__main__":
    make_augment()
    make_images()
