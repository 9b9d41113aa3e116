"""Makes the files that tests/engine/files and tests/data read back: small, from the programs that users have.

    python3 tests/golden/make_files.py [torch, numpy and safetensors needed]

Every tensor holds value(i) = i / 4 - 3 over its elements in row-major order (integers: i - 3, u8: i, bool: i % 3 == 0),
so that the tests know what to expect without reading these numbers from a file.
"""

import collections
import pathlib
import pickle
import struct

import numpy as np
import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).parent / "data" / "files"


def tensor(shape, dtype=torch.float32):
    count = int(np.prod(shape, dtype=np.int64))
    index = torch.arange(count)
    if dtype == torch.uint8:
        values = index
    elif dtype == torch.bool:
        values = index % 3 == 0
    elif dtype.is_floating_point:
        values = index.to(torch.float64) / 4 - 3
    else:
        values = index - 3
    return values.to(dtype).reshape(shape)


TYPES = {
    "f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64,
    "i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8, "bool": torch.bool,
}


def all_types():
    tensors = {name: tensor((2, 3, 4), dtype) for name, dtype in TYPES.items()}
    tensors["scalar"] = tensor(())
    tensors["empty"] = tensor((0, 5))
    return tensors


def checkpoint():
    """As training scripts write them: a wrapped network, its optimiser, numbers."""
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(tensor(parameter.shape))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.03, momentum=0.9)
    network(torch.ones(4, 3)).pow(2).sum().backward()
    optimiser.step()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.copy_(tensor(value.shape, value.dtype))
    state = collections.OrderedDict(("module.encoder_q." + k, v) for k, v in network.state_dict().items())
    return {
        "epoch": 7, "arch": "resnet50", "best": np.float64(42.5), "done": True, "nothing": None, "rates": [0.1, 0.25],
        "state_dict": state, "optimizer": optimiser.state_dict(),
    }


def views():
    base = tensor((4, 6))
    return {
        "base": base, "transposed": base.t(), "rows": base[1:3], "columns": base[:, 1::2], "expanded": tensor((1, 3)).expand(4, 3),
        "parameter": torch.nn.Parameter(tensor((2, 2))), "tied": base, "channels_last": tensor((2, 3, 2, 2)).to(memory_format=torch.channels_last),
        "permuted": tensor((2, 3, 4)).permute(2, 0, 1),
    }


# --- CIFAR batches as Python 2.7 wrote them: byte strings as SHORT_BINSTRING and BINSTRING, opcode by opcode.

def py2_string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return b"U" + bytes([len(data)]) + data if len(data) < 256 else b"T" + struct.pack("<i", len(data)) + data


def py2_array(pixels):
    rows, columns = pixels.shape
    return b"".join([
        b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04", py2_string("b"), b"q\x05\x87q\x06Rq\x07",
        b"(K\x01", b"M" + struct.pack("<H", rows) if rows > 255 else b"K" + bytes([rows]), b"M" + struct.pack("<H", columns), b"\x86q\x08",
        b"cnumpy\ndtype\nq\x09", py2_string("u1"), b"q\x0aK\x00K\x01\x87q\x0bRq\x0c",
        b"(K\x03", py2_string("|"), b"q\x0dNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0eb\x89", py2_string(pixels.tobytes()), b"q\x0ftq\x10b",
    ])


def py2_list(items):
    return b"](" + b"".join(items) + b"e"


def py2_batch(pixels, columns):
    """columns: name -> list of ints or strings."""
    body = [py2_string("data"), py2_array(pixels), py2_string("batch_label"), py2_string("training batch 1 of 5")]
    for name, values in columns.items():
        body.append(py2_string(name))
        body.append(py2_list([b"K" + bytes([v]) if isinstance(v, int) else py2_string(v) for v in values]))
    return b"\x80\x02}q\x01(" + b"".join(body) + b"u."


def cifar_pixels(count, shift):
    """Byte (row, plane, y, x) = (row * 31 + plane * 67 + y * 5 + x * 3 + shift) mod 256."""
    row, plane, y, x = np.meshgrid(np.arange(count), np.arange(3), np.arange(32), np.arange(32), indexing="ij")
    return ((row * 31 + plane * 67 + y * 5 + x * 3 + shift) % 256).astype(np.uint8).reshape(count, 3072)


def write_cifar():
    ten = OUT / "cifar10-py"
    ten.mkdir(exist_ok=True)
    names = [f"image{i}.png" for i in range(3)]
    for batch in range(1, 6):
        columns = {"labels": [(batch + i) % 10 for i in range(3)], "filenames": names}
        pixels = cifar_pixels(3, batch)
        data = py2_batch(pixels, columns) if batch < 3 else pickle.dumps(
            {"data": pixels, "batch_label": f"training batch {batch} of 5", **columns}, protocol=2 if batch < 5 else 4)
        (ten / f"data_batch_{batch}").write_bytes(data)
    (ten / "test_batch").write_bytes(py2_batch(cifar_pixels(2, 9), {"labels": [9, 0], "filenames": names[:2]}))
    (ten / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"class{i}" for i in range(10)], "num_vis": 3072}, protocol=2))
    hundred = OUT / "cifar100-py"
    hundred.mkdir(exist_ok=True)
    for name, shift in (("train", 1), ("test", 2)):
        columns = {"fine_labels": [99, shift], "coarse_labels": [19, 3], "filenames": names[:2]}
        (hundred / name).write_bytes(py2_batch(cifar_pixels(2, shift), columns))


def write_cifar_protocols():
    """The same two pictures, pickled by Python 3 and this numpy in each protocol, with labels as people keep them."""
    pixels = cifar_pixels(2, 9)
    array = lambda dtype: np.array([9, 0], dtype=dtype)
    labels = [[9, 0], array(np.int64), (np.int32(9), np.int32(0)), array(np.uint8), [np.int64(9), np.int64(0)], array(">i2")]
    for protocol, each in enumerate(labels):
        contents = {"data": np.asfortranarray(pixels) if protocol in (1, 4, 5) else pixels, "labels": each, "batch_label": "testing batch 1 of 1"}
        if protocol == 3:
            contents = {key.encode(): value for key, value in contents.items()}
        folder = OUT / "cifar10-protocols" / str(protocol)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test_batch").write_bytes(pickle.dumps(contents, protocol=protocol))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    save_file(all_types(), OUT / "types.safetensors", metadata={"made_by": "make_files.py", "note": "\u00fc\u2713"})
    torch.save(all_types(), OUT / "types.pth")
    torch.save(all_types(), OUT / "types_plain.pth", _use_new_zipfile_serialization=False)
    torch.save(all_types(), OUT / "types_protocol4.pth", pickle_protocol=4)
    torch.save(views(), OUT / "views.pth")
    torch.save(views(), OUT / "views_plain.pth", _use_new_zipfile_serialization=False)
    torch.save(checkpoint(), OUT / "checkpoint.pth.tar")
    torch.save(checkpoint(), OUT / "checkpoint_plain.pth.tar", _use_new_zipfile_serialization=False)
    write_cifar()
    write_cifar_protocols()


if __name__ == "__main__":
    main()
