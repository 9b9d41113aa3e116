"""The bytes of pictures in forms that Pillow does not write, after the formats' specifications: for make_pictures.py."""
import struct
import zlib

import numpy as np

W, H = 19, 13  # of every picture that does not say otherwise
NONE, LZW, JPEG, DEFLATE, PACKBITS = 1, 5, 7, 8, 32773  # TIFF's compressions


def packed(values, bits, pad=1):
    """Rows of samples of 1 to 8 bits, the highest bits first; rows padded to `pad` bytes."""
    rows = []
    for row in values.reshape(len(values), -1):
        spread = (row[:, None] >> np.arange(bits)[::-1] & 1).astype(np.uint8).reshape(-1)
        data = np.packbits(spread).tobytes()
        rows.append(data + bytes(-len(data) % pad))
    return rows


def bmp(bits, rows, header=40, compression=0, palette=b"", colors=0, height=H, masks=(), offset=None, width=W):
    data = rows if isinstance(rows, bytes) else b"".join(rows)
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, colors, 0)
        info += b"".join(struct.pack("<I", mask) for mask in masks)
        info = struct.pack("<I", header) + info[4:]
        info += bytes(max(0, header - len(info)))
    at = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", at + len(data), 0, 0, at if offset is None else offset) + info + palette + data


def bgr_rows(pixels, extra=b"", pad=4):
    rows = []
    for row in pixels[::-1]:
        data = b"".join(bytes(pixel[::-1]) + extra for pixel in row[:, :3])
        rows.append(data + bytes(-len(data) % pad))
    return rows


def words(pixels, red, green, blue):
    """Rows of 16-bit pixels; each color is (bits, shift)."""
    value = sum((pixels[..., c].astype(np.uint32) >> (8 - n)) << s for c, (n, s) in enumerate((red, green, blue)))
    return [r.astype("<u2").tobytes() + bytes(-2 * W % 4) for r in value[::-1]]


def rle8(index):
    out = b""
    for y, row in enumerate(index[::-1]):
        if y % 2 == 0:  # single pixels, padded to words
            out += bytes([0, len(row)]) + row.tobytes() + bytes(len(row) % 2)
        else:
            out += b"".join(bytes([1, v]) for v in row[:5]) + bytes([len(row) - 5, row[5]])
        out += b"\0\0"
    return out + b"\0\1"


def rle4(index):
    out = b""
    for y, row in enumerate(index[::-1]):
        if y % 2 == 0:
            half = packed(row[None], 4)[0]
            out += bytes([0, len(row)]) + half + bytes(len(half) % 2)
        else:
            out += bytes([7, 0x5A, len(row) - 7, 0x30])
        out += b"\0\0"
    return out + b"\0\1"


def lzw(index, bits, clear_every=1 << 30):
    """Codes as an encoder with a table writes them; `clear_every` codes it starts anew."""
    clear, out, count, buffer = 1 << bits, bytearray(), 0, 0

    def put(code, size):
        nonlocal count, buffer
        buffer |= code << count
        count += size
        while count >= 8:
            out.append(buffer & 255)
            buffer >>= 8
            count -= 8

    size, table, done = bits + 1, {(i,): i for i in range(clear)}, 0
    put(clear, size)
    word = ()
    for value in index.reshape(-1):
        longer = word + (int(value),)
        if longer in table:
            word = longer
            continue
        put(table[word], size)
        done += 1
        if len(table) + 2 < 4096:
            table[longer] = len(table) + 2
            if table[longer] == 1 << size and size < 12:
                size += 1
        if done % clear_every == 0:
            put(clear, size)
            size, table = bits + 1, {(i,): i for i in range(clear)}
        word = (int(value),)
    put(table[word], size)
    put(clear + 1, size)
    put(0, 7)
    return bytes([bits]) + blocks(bytes(out))


def blocks(data, size=255):
    return b"".join(bytes([len(data[i : i + size])]) + data[i : i + size] for i in range(0, len(data), size)) + b"\0"


def gif(index, bits=4, screen=(W, H), at=(0, 0), palette=None, local=None, transparent=None, interlaced=False, before=b"", data=None):
    flag = lambda p: 0x80 | (len(p) // 3).bit_length() - 2 if p else 0
    out = b"GIF89a" + struct.pack("<HHBBB", *screen, flag(palette), 3, 0) + (palette or b"") + before
    if transparent is not None:
        out += b"!\xf9\4" + bytes([1, 0, 0, transparent, 0])
    height, width = index.shape
    if interlaced:
        index = np.concatenate([index[0::8], index[4::8], index[2::4], index[1::2]])
    out += b"," + struct.pack("<HHHHB", *at, width, height, flag(local) | (0x40 if interlaced else 0)) + (local or b"")
    return out + (lzw(index, bits) if data is None else data) + b";"


def tga(kind, bits, data, flags=0, cmap=b"", map_bits=0, map_begin=0, map_size=0, footer=False, ident=b"", size=(W, H)):
    head = struct.pack("<BBBHHBHHHHBB", len(ident), 1 if cmap else 0, kind, map_begin, map_size, map_bits, 0, 0, *size, bits, flags)
    return head + ident + cmap + data + (bytes(8) + b"TRUEVISION-XFILE.\0" if footer else b"")


def tga_rle(pixels, size):
    """Each row: a run where three equal pixels stand, else single ones."""
    out = b""
    for row in pixels:
        x = 0
        while x < len(row):
            n = 1
            while x + n < len(row) and (row[x + n] == row[x]).all():
                n += 1
            out += bytes([0x80 | n - 1 if n > 1 else 0]) + row[x].tobytes()
            x += n
        assert row[0].nbytes == size
    return out


def tiff(pixels, photometric, bits, order="<", compression=NONE, rows=None, tile=None, planes=False, extra=(), orientation=None,
         color_map=None, tags=(), fill_order=None, big=False):
    """`pixels` [height, width, samples] of unpacked samples."""
    height, width, samples = pixels.shape
    parts = []
    for block in ([pixels] if not planes else [pixels[..., c : c + 1] for c in range(samples)]):
        if tile:
            grown = np.pad(block, ((0, -height % tile), (0, -width % tile), (0, 0)), "edge")
            parts += [grown[y : y + tile, x : x + tile] for y in range(0, height, tile) for x in range(0, width, tile)]
        else:
            parts += [block[y : y + (rows or height)] for y in range(0, height, rows or height)]

    def encoded(part):
        if bits == 16:
            data = part.astype(order + "u2").tobytes()
        else:
            data = b"".join(packed(part, bits))
        if fill_order == 2:
            data = bytes(int(f"{b:08b}"[::-1], 2) for b in data)
        if compression == DEFLATE:
            return zlib.compress(data)
        if compression == PACKBITS:
            return b"".join(bytes([len(data[i : i + 128]) - 1]) + data[i : i + 128] for i in range(0, len(data), 128))
        return data

    data = [encoded(part) for part in parts]
    short, long = ("H", 3), ("I", 4)
    entries = [(256, long, [width]), (257, long, [height]), (258, short, [bits] * samples), (259, short, [compression]),
               (262, short, [photometric]), (277, short, [samples]), (284, short, [2 if planes else 1])]
    if fill_order:
        entries.append((266, short, [fill_order]))
    if orientation:
        entries.append((274, short, [orientation]))
    if extra:
        entries.append((338, short, list(extra)))
    if color_map is not None:
        entries.append((320, short, [int(v) for v in color_map.T.reshape(-1)]))
    entries += tags
    at = 16 if big else 8
    places = []
    for part in data:
        places.append(at)
        at += len(part) + len(part) % 2
    if tile:
        entries += [(322, long, [tile]), (323, long, [tile]), (324, long, places), (325, long, [len(d) for d in data])]
    else:
        entries += [(273, long, places), (278, long, [rows or height]), (279, long, [len(d) for d in data])]
    mark = b"II" if order == "<" else b"MM"
    if big:
        out = mark + struct.pack(order + "HHHQ", 43, 8, 0, at)
    else:
        out = mark + struct.pack(order + "HI", 42, at)
    out += b"".join(part + bytes(len(part) % 2) for part in data)
    room, word, count = (8, "Q", "Q") if big else (4, "I", "H")
    entries.sort()
    beyond = at + struct.calcsize(order + count) + (12 if not big else 20) * len(entries) + room
    directory, values = struct.pack(order + count, len(entries)), b""
    for tag, (code, kind), numbers in entries:
        value = struct.pack(order + code * len(numbers), *numbers)
        if len(value) > room:
            values += bytes((beyond + len(values)) % 2)
            place = struct.pack(order + word, beyond + len(values))
            values += value
        else:
            place = value + bytes(room - len(value))
        directory += struct.pack(order + "HH" + word, tag, kind, len(numbers)) + place
    return out + directory + bytes(room) + values


def png(color, depth, rows, interlace=0, chunks=b"", damage=False):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, depth, color, 0, 0, interlace))
    for kind, content in chunks or ():
        out += chunk(kind, content)
    pixels = chunk(b"IDAT", data)
    if damage:
        pixels = pixels[:20] + bytes([pixels[20] ^ 16]) + pixels[21:]
    return out + pixels + chunk(b"IEND", b"")


def adam7(pixels, bits):
    rows = []
    for x, y, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        rows += packed(pixels[y::dy, x::dx], bits)
    return rows
