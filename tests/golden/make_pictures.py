#!/usr/bin/env python3
"""Makes tests/golden/data/pictures.safetensors: small pictures in the forms that each format allows, and Pillow's pixels.

    python3 tests/golden/make_pictures.py      [numpy, Pillow and safetensors needed; made with Pillow 13.0]

Tensors: NAME is the file's bytes, NAME:pixels its pixels [height, width, 3]. Metadata: NAME is a part of the error where there are
no pixels. picture_writers.py puts together the forms that Pillow does not write. `want` stands in for Pillow's
pixels where it has none, or others than data/images/decode.h promises (gray of 16 bits).
"""
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms
from safetensors.numpy import save_file

from picture_writers import (DEFLATE, H, JPEG, PACKBITS, W, adam7, bgr_rows, blocks, bmp, gif, lzw, packed, png, rle4, rle8, tga,
                             tga_rle, tiff, words)

FILES, ERRORS = {}, {}


def picture(seed=0, channels=3):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:H, 0:W]
    planes = [127 + 110 * np.sin(x / (3 + c) + y / (7 - c) + c) for c in range(channels)]
    pixels = np.stack(planes, -1) + rng.normal(0, 9, (H, W, channels))
    return np.clip(pixels, 0, 255).astype(np.uint8)


RGB = picture()
RGBA = picture(1, 4)
GRAY = RGB[..., 1]
INDEX = (np.add.outer(np.arange(H) * 3, np.arange(W) * 5) % 16).astype(np.uint8)
PALETTE = np.random.default_rng(5).integers(0, 256, (16, 3)).astype(np.uint8)


def add(name, data, want=None):
    if want is None:
        with Image.open(io.BytesIO(data)) as image:
            want = np.asarray(image.convert("RGB"))
    assert name not in FILES
    FILES[name] = np.frombuffer(data, np.uint8)
    FILES[name + ":pixels"] = np.ascontiguousarray(want)


def refuse(name, data, part):
    FILES[name] = np.frombuffer(data, np.uint8)
    ERRORS[name] = part


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def gray16(values):
    return np.repeat(((values.astype(np.int64) + 128) // 257).astype(np.uint8)[..., None], 3, -1)


# ---- BMP


def make_bmp():
    quads = b"".join(bytes(c[::-1]) + b"\0" for c in PALETTE)
    triples = b"".join(bytes(c[::-1]) for c in PALETTE)
    down = INDEX[::-1]
    for size in (40, 52, 56, 64, 108, 124):
        add(f"bmp-header-{size}", bmp(24, bgr_rows(RGB), header=size))
    add("bmp-os2-24", bmp(24, bgr_rows(RGB), header=12))
    add("bmp-os2-4", bmp(4, packed(down, 4, 4), header=12, palette=triples))
    add("bmp-top-down-24", bmp(24, bgr_rows(RGB), height=-H))
    add("bmp-top-down-8", bmp(8, packed(down, 8, 4), height=-H, palette=quads, colors=16))
    for bits in (1, 4, 8):
        add(f"bmp-{bits}", bmp(bits, packed(down & ((1 << bits) - 1), bits, 4), palette=quads[: 4 << bits], colors=min(16, 1 << bits)))
    add("bmp-8-full-palette", bmp(8, packed(GRAY[::-1], 8, 4), palette=bytes(range(256)) * 4))
    add("bmp-8-short-palette", bmp(8, packed(down, 8, 4), palette=quads[:20], colors=5))
    add("bmp-8-palette-into-pixels", bmp(8, packed(down, 8, 4), palette=quads))
    add("bmp-8-offset-at-palette", bmp(8, packed(down, 8, 4), palette=quads, colors=16, offset=54))
    add("bmp-8-offset-0", bmp(8, packed(down, 8, 4), palette=quads, colors=16, offset=0))
    add("bmp-16-555", bmp(16, words(RGB, (5, 10), (5, 5), (5, 0))))
    add("bmp-16-565", bmp(16, words(RGB, (5, 11), (6, 5), (5, 0)), compression=3, masks=(0xF800, 0x7E0, 0x1F)))
    add("bmp-16-555-masks", bmp(16, words(RGB, (5, 10), (5, 5), (5, 0)), header=56, compression=3, masks=(0x7C00, 0x3E0, 0x1F, 0)))
    four_bits = np.floor((RGB >> 4) * 255.0 / 15).astype(np.uint8)
    add("bmp-16-444", bmp(16, words(RGB, (4, 8), (4, 4), (4, 0)), compression=3, masks=(0xF00, 0xF0, 0xF)), want=four_bits)
    add("bmp-32", bmp(32, bgr_rows(RGB, b"\x07")))
    add("bmp-32-alpha", bmp(32, bgr_rows(RGB, b"\x07"), header=124, compression=3, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000)))
    swapped = np.dstack([RGB[..., 2], RGB[..., 1], RGB[..., 0]])
    add("bmp-32-rgba", bmp(32, bgr_rows(swapped, b"\x07"), header=108, compression=3, masks=(0xFF, 0xFF00, 0xFF0000, 0xFF000000)))
    add("bmp-32-no-masks", bmp(32, bgr_rows(RGB, b"\x07"), header=108, compression=3, masks=(0, 0, 0, 0)))
    add("bmp-rle8", bmp(8, rle8(INDEX), compression=1, palette=quads, colors=16))
    add("bmp-rle4", bmp(4, rle4(INDEX), compression=2, palette=quads, colors=16))
    jump = bytes([3, 2, 0, 2, 4, 1, 5, 9, 0, 0]) + b"".join(bytes([W, y % 16, 0, 0]) for y in range(H - 2)) + b"\0\1"
    add("bmp-rle8-delta", bmp(8, jump, compression=1, palette=quads, colors=16))
    add("bmp-rle8-long-runs", bmp(8, bytes([255, 3, 0, 0]) * H, compression=1, palette=quads, colors=16))
    add("bmp-last-row-unpadded", bmp(24, bgr_rows(RGB))[: -(-3 * W % 4)])
    refuse("bmp-rle8-ends-early", bmp(8, rle8(INDEX)[:40] + b"\0\1", compression=1, palette=quads, colors=16), "cut short")
    refuse("bmp-jpeg", bmp(24, b"", compression=4), "BMP: compression 4 (JPEG data) is not supported")
    refuse("bmp-png", bmp(24, b"", compression=5), "BMP: compression 5 (PNG data) is not supported")
    refuse("bmp-odd-bits", bmp(7, b"12345678"), "BMP: 7 bits per pixel is not supported")
    refuse("bmp-odd-header", bmp(24, bgr_rows(RGB), header=72), "BMP: a header of 72 bytes is not supported")
    refuse("bmp-gap-in-mask", bmp(16, bytes(600), compression=3, masks=(0xF50, 0xF0, 0xF)), "bit fields with gaps")
    refuse("bmp-most-negative", bmp(24, b"", height=-(2**31)), "19 x 2147483648 pixels, more than")
    refuse("bmp-negative-width", bmp(24, b"", width=-5), "a size of -5 x 13")
    refuse("bmp-text", b"BMW is a maker of cars, and this is a text.", "BMP")


# ---- GIF


def colors(count, seed=5):
    return np.random.default_rng(seed).integers(0, 256, (count, 3)).astype(np.uint8).tobytes()


def make_gif():
    sixteen = colors(16)
    add("gif", gif(INDEX, palette=sixteen))
    add("gif-transparent", gif(INDEX, palette=sixteen, transparent=5))
    add("gif-small-frame", gif(INDEX[:6, :7], at=(5, 4), palette=sixteen))
    add("gif-small-transparent-frame", gif(INDEX[:6, :7], at=(5, 4), palette=sixteen, transparent=9))
    add("gif-frame-beyond-screen", gif(INDEX, screen=(8, 7), at=(3, 2), palette=sixteen))
    add("gif-no-screen", gif(INDEX, screen=(0, 0), palette=sixteen))
    add("gif-interlaced", gif(INDEX, palette=sixteen, interlaced=True))
    for rows in (1, 2, 3, 5, 9):
        add(f"gif-interlaced-{rows}", gif(INDEX[:rows], screen=(W, rows), palette=sixteen, interlaced=True))
    add("gif-local-palette", gif(INDEX, palette=sixteen, local=colors(16, 6)))
    add("gif-only-local-palette", gif(INDEX, local=colors(16, 6)))
    add("gif-no-palette", gif(GRAY, bits=8))
    add("gif-short-palette", gif(INDEX, palette=colors(4)))
    add("gif-1-bit", gif(INDEX & 1, bits=2, palette=colors(2)))  # codes begin with 3 bits at the least
    add("gif-2-bits", gif(INDEX & 3, bits=2, palette=colors(4)))
    add("gif-8-bits", gif(GRAY, bits=8, palette=colors(256)))
    add("gif-clears", gif(INDEX, palette=sixteen, data=lzw(INDEX, 4, 11)))
    noise = np.random.default_rng(3).integers(0, 256, (60, 90)).astype(np.uint8)
    add("gif-full-table", gif(noise, bits=8, screen=(90, 60), palette=colors(256)))
    comment = b"!\xfe" + blocks(b"a comment" * 40) + b"!\xff" + blocks(b"NETSCAPE2.0")[:-1] + blocks(b"\1\0\0")
    add("gif-extensions", gif(INDEX, palette=sixteen, before=comment))
    image = Image.fromarray(INDEX).convert("P")
    image.putpalette(sixteen)
    add("gif-animated", saved(image, "GIF", save_all=True, append_images=[image.rotate(90)], duration=9))
    refuse("gif-without-picture", b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0, 0, 0) + b";", "there is no picture in it")
    refuse("gif-undefined-code", gif(INDEX, palette=sixteen, data=b"\4" + blocks(b"\xf0\xff\xff")), "never defined")
    refuse("gif-9-bits", gif(INDEX, palette=sixteen, data=b"\x09" + blocks(b"\0\0")), "pixels of 9 bits")
    refuse("gif-ends-early", gif(INDEX, palette=sixteen, data=lzw(INDEX[:5], 4)), "cut short")


# ---- TGA


def make_tga():
    bgr = np.ascontiguousarray(RGB[..., ::-1])
    bgra = np.ascontiguousarray(RGBA[..., [2, 1, 0, 3]])
    fives = ((RGB[..., 0].astype(np.uint16) >> 3 << 10) | (RGB[..., 1].astype(np.uint16) >> 3 << 5) | RGB[..., 2] >> 3).astype("<u2")
    for flags, corner in ((0, "bottom-left"), (0x10, "bottom-right"), (0x20, "top-left"), (0x30, "top-right")):
        add(f"tga-{corner}", tga(2, 24, bgr.tobytes(), flags))
        add(f"tga-rle-{corner}", tga(10, 24, tga_rle(bgr // 64 * 64, 3), flags))
    add("tga-32", tga(2, 32, bgra.tobytes(), 8, footer=True))
    add("tga-16", tga(2, 16, fives.tobytes(), 1))
    add("tga-15", tga(2, 15, fives.tobytes()), want=np.asarray(Image.open(io.BytesIO(tga(2, 16, fives.tobytes()))).convert("RGB")))
    add("tga-gray", tga(3, 8, GRAY.tobytes(), ident=b"made by hand"))
    add("tga-gray-alpha", tga(3, 16, np.dstack([GRAY, INDEX]).tobytes(), 8))
    add("tga-gray-rle", tga(11, 8, tga_rle((GRAY // 64 * 64)[..., None], 1)))
    add("tga-1-bit", tga(3, 1, b"".join(packed(GRAY >> 7, 1))))
    bgr16, bgra16 = PALETTE[:, ::-1].tobytes(), np.dstack([PALETTE[None, :, ::-1], np.full((1, 16, 1), 9, np.uint8)]).tobytes()
    add("tga-map-24", tga(1, 8, INDEX.tobytes(), cmap=bgr16, map_bits=24, map_size=16))
    add("tga-map-32", tga(1, 8, INDEX.tobytes(), cmap=bgra16, map_bits=32, map_size=16))
    first = (RGB.reshape(-1, 3)[:16] >> 3).astype(int) * 255 // 31
    add("tga-map-16", tga(1, 8, INDEX.tobytes(), cmap=fives.tobytes()[:32], map_bits=16, map_size=16), want=first.astype(np.uint8)[INDEX[::-1]])
    add("tga-map-begins-later", tga(1, 8, INDEX.tobytes(), cmap=bgr16[:30], map_bits=24, map_begin=4, map_size=10))
    add("tga-map-rle", tga(9, 8, tga_rle((INDEX // 4)[..., None], 1), cmap=bgr16, map_bits=24, map_size=16))
    add("tga-color-with-map", tga(2, 24, bgr.tobytes(), cmap=bgr16, map_bits=24, map_size=16), want=RGB[::-1])
    flat = tga_rle(np.tile(bgr[:1, :1], (1, W * H, 1))[:, :128], 3) + tga_rle(np.tile(bgr[:1, 1:2], (1, W * H - 128, 1)), 3)
    across = np.repeat(RGB[0, :2], (128, W * H - 128), 0).reshape(H, W, 3)[::-1]
    add("tga-runs-across-rows", tga(10, 24, flat), want=across)
    refuse("tga-map-of-8-bits", tga(1, 8, INDEX.tobytes(), cmap=bgr16, map_bits=8, map_size=16), "8 bits per color is not supported")
    refuse("tga-huffman", tga(32, 24, bgr.tobytes(), footer=True), "TGA: image type 32")


# ---- TIFF


def make_tiff():
    gray, deep = GRAY[..., None], (RGBA.astype(np.uint16) * 257 + INDEX[..., None] * 3).clip(0, 65535).astype(np.uint16)
    for order, mark in (("<", "ii"), (">", "mm")):
        add(f"tiff-{mark}-rgb", tiff(RGB, 2, 8, order))
        add(f"tiff-{mark}-rgb16", tiff(deep[..., :3], 2, 16, order))
        add(f"tiff-{mark}-gray16", tiff(deep[..., :1], 1, 16, order), want=gray16(deep[..., 0]))
    for bits in (1, 2, 4, 8):
        add(f"tiff-black-{bits}", tiff(gray >> (8 - bits), 1, bits))
        add(f"tiff-white-{bits}", tiff(gray >> (8 - bits), 0, bits))
        map16 = np.random.default_rng(8).integers(0, 65536, (1 << bits, 3))
        add(f"tiff-palette-{bits}", tiff(gray >> (8 - bits), 3, bits, color_map=map16))
    add("tiff-white-16", tiff(deep[..., :1], 0, 16), want=255 - gray16(deep[..., 0]))
    add("tiff-fill-order", tiff(gray >> 7, 1, 1, fill_order=2))
    add("tiff-big", tiff(RGB, 2, 8, big=True))
    for name, code in (("deflate", DEFLATE), ("packbits", PACKBITS)):
        add(f"tiff-{name}", tiff(RGB, 2, 8, compression=code, rows=4))
    for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        add(f"tiff-pillow-{name}", saved(Image.fromarray(RGB), "TIFF", compression=name))
    add("tiff-jpeg-gray", saved(Image.fromarray(GRAY), "TIFF", compression="jpeg"))
    for name in ("group3", "group4", "tiff_ccitt"):
        add(f"tiff-{name}", saved(Image.fromarray(GRAY).convert("1"), "TIFF", compression=name))
    add("tiff-lzw-predictor", saved(Image.fromarray(RGB), "TIFF", compression="tiff_lzw", tiffinfo={317: 2}))
    add("tiff-ycbcr", saved(Image.fromarray(RGB).convert("YCbCr"), "TIFF", compression="tiff_lzw"))
    add("tiff-strips", tiff(RGB, 2, 8, rows=5))
    add("tiff-tiles", tiff(RGB, 2, 8, tile=16))
    add("tiff-tiles-gray-1", tiff(gray >> 7, 1, 1, tile=16))
    add("tiff-planes", tiff(RGB, 2, 8, planes=True, rows=5))
    add("tiff-planes-tiles", tiff(RGB, 2, 8, planes=True, tile=16))
    add("tiff-planes-deflate", tiff(RGB, 2, 8, planes=True, rows=3, compression=DEFLATE))
    add("tiff-cmyk", tiff(RGBA, 5, 8))
    add("tiff-cmyk-16", tiff(deep, 5, 16))
    add("tiff-rgbx", tiff(RGBA, 2, 8, extra=(0,)))
    add("tiff-rgba", tiff(RGBA, 2, 8, extra=(2,)))
    add("tiff-rgba-premultiplied", tiff(RGBA, 2, 8, extra=(1,)))
    add("tiff-rgba16", tiff(deep, 2, 16, extra=(2,)))
    add("tiff-rgba16-premultiplied", tiff(deep, 2, 16, extra=(1,)))
    add("tiff-four-samples", tiff(RGBA, 2, 8))
    add("tiff-gray-alpha", tiff(RGBA[..., :2], 1, 8, extra=(2,)))
    for orientation in range(1, 9):
        add(f"tiff-turned-{orientation}", tiff(RGB, 2, 8, orientation=orientation))
    add("tiff-turned-ycbcr", saved(Image.fromarray(RGB).convert("YCbCr"), "TIFF", compression="tiff_lzw", tiffinfo={274: 6}))
    second = Image.fromarray(RGB[::-1])
    add("tiff-two-pages", saved(Image.fromarray(RGB), "TIFF", save_all=True, append_images=[second]))
    short, long = ("H", 3), ("I", 4)
    lab = ImageCms.profileToProfile(Image.fromarray(RGB), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB")
    refuse("tiff-lab", saved(lab, "TIFF"), "L*a*b* colors is not supported")
    refuse("tiff-float", saved(Image.fromarray(GRAY.astype(np.float32)), "TIFF"), "floating-point samples is not supported")
    refuse("tiff-signed", tiff(gray, 1, 8, tags=[(339, short, [2])]), "signed samples is not supported")
    refuse("tiff-12-bits", tiff(gray, 1, 12), "12 bits per sample is not supported")
    refuse("tiff-old-jpeg", tiff(RGB, 6, 8, compression=6), "compression 6")
    refuse("tiff-unknown-compression", tiff(RGB, 2, 8, compression=4711), "compression 4711 is not supported")
    refuse("tiff-unknown-photometric", tiff(RGB, 77, 8), "photometric interpretation 77 is not supported")
    refuse("tiff-raw-samples", tiff(gray, 32803, 8), "a camera's raw samples is not supported")
    refuse("tiff-thumbnail", tiff(RGB, 2, 8, tags=[(254, long, [1]), (330, long, [8])]), "a camera's raw file is not supported")
    refuse("tiff-two-samples", tiff(RGB[..., :2], 2, 8), "2 samples per pixel is not supported")
    refuse("tiff-huge-tiles", tiff(RGB, 2, 8, tags=[(322, long, [1 << 16]), (323, long, [1 << 16]), (324, long, [8]), (325, long, [9])]),
           "tiles of 65536 x 65536")


# ---- WebP, PNG, JPEG, others


def make_webp():
    frames = [Image.fromarray(RGBA[:, :, :3]), Image.fromarray(RGB)]
    add("webp-lossy", saved(frames[0], "WEBP", quality=70))
    add("webp-lossless", saved(frames[1], "WEBP", lossless=True))
    add("webp-lossy-alpha", saved(Image.fromarray(RGBA), "WEBP", quality=70))
    add("webp-lossless-alpha", saved(Image.fromarray(RGBA), "WEBP", lossless=True, exact=True))
    add("webp-animated", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))
    see_through = RGBA.copy()
    see_through[:4] = see_through[9:] = 0
    see_through[:, :6] = see_through[:, 15:] = 0
    add("webp-animated-small-frame", saved(Image.fromarray(see_through), "WEBP", save_all=True, append_images=[Image.fromarray(RGBA)],
                                            lossless=True, minimize_size=True))
    add("webp-metadata", saved(frames[1], "WEBP", lossless=True, exif=exif(6), icc_profile=b"not a profile" * 20))


def exif(orientation):
    block = Image.Exif()
    block[274] = orientation
    return block.tobytes()


def make_png():
    gray, index = GRAY[..., None], INDEX[..., None]
    colored = [(b"PLTE", PALETTE.tobytes())]
    for bits in (1, 2, 4, 8):
        add(f"png-gray-{bits}", png(0, bits, packed(gray >> (8 - bits), bits)))
        palette = [(b"PLTE", PALETTE[: 1 << bits].tobytes())]
        add(f"png-palette-{bits}", png(3, bits, packed(index & ((1 << min(bits, 4)) - 1), bits), chunks=palette))
    add("png-palette-transparent", png(3, 8, packed(index, 8), chunks=colored + [(b"tRNS", bytes(range(0, 160, 10)))]))
    add("png-gray-transparent", png(0, 8, packed(gray, 8), chunks=[(b"tRNS", b"\0\x50")]))
    add("png-rgb-transparent", png(2, 8, packed(RGB, 8), chunks=[(b"tRNS", bytes(6))]))
    add("png-rgb-interlaced", png(2, 8, adam7(RGB, 8), 1))
    add("png-palette-interlaced", png(3, 4, adam7(index, 4), 1, chunks=colored))
    add("png-rgba-interlaced", png(6, 8, adam7(RGBA, 8), 1))
    deep = RGB.astype(">u2") * 257 + INDEX[..., None]
    add("png-rgb16", png(2, 16, [r.tobytes() for r in deep.astype(">u2")]))
    add("png-gray16", png(0, 16, [r.tobytes() for r in deep[..., 1].astype(">u2")]), want=gray16(deep[..., 1]))
    bomb = zlib.compress(bytes(8_000_000), 9)
    add("png-text-bomb", png(2, 8, packed(RGB, 8), chunks=[(b"zTXt", b"k\0\0" + bomb)]), want=RGB)
    add("png-profile-bomb", png(2, 8, packed(RGB, 8), chunks=[(b"iCCP", b"k\0\0" + bomb)]), want=RGB)
    refuse("png-bad-crc", png(2, 8, packed(RGB, 8), damage=True), "PNG")
    claims = png(2, 8, packed(RGB, 8))[:33]
    for kind in (b"tEXt", b"eXIf", b"PLTE", b"IDAT", b"tRNS", b"abCD"):
        refuse(f"png-length-{kind.decode()}", claims + struct.pack(">I", 2**31 - 1) + kind + b"123456", "PNG")


def make_jpeg():
    image = Image.fromarray(RGB)
    for sampling in (0, 1, 2):
        for progressive in (False, True):
            add(f"jpeg-{sampling}-{progressive}".lower(), saved(image, "JPEG", subsampling=sampling, progressive=progressive))
    add("jpeg-restarts", saved(image, "JPEG", restart_marker_blocks=1))
    add("jpeg-cmyk", saved(Image.fromarray(RGBA, "CMYK"), "JPEG"))
    add("jpeg-cmyk-progressive", saved(Image.fromarray(RGBA, "CMYK"), "JPEG", progressive=True))
    # The Adobe marker's last byte tells YCCK (2) from CMYK (0).
    data = saved(Image.fromarray(RGBA, "CMYK"), "JPEG")
    at = data.index(b"Adobe") + 11
    add("jpeg-ycck", data[:at] + b"\2" + data[at + 1 :])
    add("jpeg-trailer", saved(image, "JPEG") + b"trailing bytes")
    base = saved(image, "JPEG")
    frame = base.index(b"\xff\xc0")
    refuse("jpeg-12-bits", base[: frame + 1] + b"\xc1" + base[frame + 2 : frame + 4] + b"\x0c" + base[frame + 5 :], "is not supported")
    refuse("jpeg-hierarchical", base[: frame + 1] + b"\xc5" + base[frame + 2 :], "is not supported")


def make_others():
    named = {
        "avif": (b"\0\0\0\x1cftypavif", "AVIF"), "heic": (b"\0\0\0\x1cftypheic", "HEIC"), "mp4": (b"\0\0\0\x1cftypisom", "MP4"),
        "jp2": (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"), "j2k": (b"\xff\x4f\xff\x51", "JPEG 2000"), "jxl": (b"\xff\x0a", "JPEG XL"),
        "psd": (b"8BPS\0\1", "PSD"), "svg": (b'<?xml version="1.0"?>\n<svg xmlns="', "SVG"), "pam": (b"P7\nWIDTH 2", "PAM"),
        "pfm": (b"PF\n2 2\n-1.0\n", "PFM"), "cr2": (b"II*\0\x10\0\0\0CR\2\0", "CR2"), "raf": (b"FUJIFILMCCD-RAW 0201", "RAF"),
        "rw2": (b"IIU\0\x18\0\0\0", "RW2"), "orf": (b"IIRO\x08\0\0\0", "ORF"), "cr3": (b"\0\0\0\x18ftypcrx ", "CR3"),
        "pdf": (b"%PDF-1.7", "PDF"), "exr": (b"\x76\x2f\x31\x01", "OpenEXR"), "ico": (b"\0\0\1\0\1\0", "ICO"),
    }
    for name, (data, part) in named.items():
        refuse("other-" + name, data + bytes(40), part)
        ERRORS["other-" + name] += " is not supported: convert" if part not in ("MP4", "PSD", "CR2", "RAF", "RW2", "ORF", "CR3") else ""
    refuse("other-lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git lfs pull")
    refuse("other-zip", b"PK\3\4" + bytes(30), "not a picture: a ZIP archive")
    refuse("other-html", b"<!DOCTYPE html><html>", "not a picture: the content looks like HTML")


if __name__ == "__main__":
    for make in (make_bmp, make_gif, make_tga, make_tiff, make_webp, make_png, make_jpeg, make_others):
        make()
    target = Path(__file__).parent / "data" / "pictures.safetensors"
    save_file(FILES, target, metadata=ERRORS)
    print(f"{sum(':' not in name for name in FILES)} files, {len(ERRORS)} of them refused, {target.stat().st_size} bytes")
