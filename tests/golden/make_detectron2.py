"""Makes weights in detectron2's forms, around a narrow R50-C4 with random weights and running statistics, and pickles of numpy arrays
in every form that numpy and Python 2 and 3 give them:

    tests/golden/make_detectron2.py NAMES    [torch, torchvision, numpy and safetensors needed]
    tests/golden/make_detectron2.py --check FOLDER

NAMES is the list of names that detectron2's loader filled from a converted ResNet-50 (JSON with "loaded", "ignored_by_the_loader" and
"left_at_initialisation"). With --check, FOLDER holds detector.pkl, detector.pth and detector.safetensors, and backbone.pkl, that
`invp convert tests/golden/data/detectron2/expected.safetensors --form detectron2` wrote (the backbone from backbone_moco.pkl);
Python, numpy and PyTorch have to read from them what went in, to the bit.
"""
import collections
import copyreg
import io
import json
import pathlib
import pickle
import struct
import sys

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from make_checkpoints import Bottleneck, ResNet, linear, randomized  # noqa: E402

OUT = pathlib.Path(__file__).parent / "data" / "detectron2"
CLASSES = ["cat", "dog", "b\u00e4r"]
DETECTOR = [("region_norm", "roi_heads.res5.norm"), ("rpn.conv", "proposal_generator.rpn_head.conv"),
            ("rpn.objectness", "proposal_generator.rpn_head.objectness_logits"),
            ("rpn.deltas", "proposal_generator.rpn_head.anchor_deltas"),
            ("predictor.classes", "roi_heads.box_predictor.cls_score"), ("predictor.deltas", "roi_heads.box_predictor.bbox_pred")]


def backbone_name(name):
    """As MoCo's converter says it."""
    if "layer" not in name:
        name = "stem." + name
    for i in (1, 2, 3, 4):
        name = name.replace(f"layer{i}", f"res{i + 1}")
    for i in (1, 2, 3):
        name = name.replace(f"bn{i}", f"conv{i}.norm")
    return name.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")


def detector_name(name):
    for ours, theirs in DETECTOR:
        if name.startswith(ours + "."):
            return theirs + name[len(ours):]
    name = backbone_name(name)
    return ("roi_heads." if name.startswith("res5.") else "backbone.") + name


def states(width=1):
    """The backbone with a head of two layers, and the detector, under our names."""
    network = randomized(ResNet(Bottleneck, (3, 4, 6, 3), width), 7)
    features = 32 * width
    network.fc = linear(features, features, 4)
    backbone = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    rng = np.random.default_rng(5)
    some = lambda *shape: rng.uniform(-0.5, 0.5, shape).astype(np.float32)
    detector = {name: value for name, value in backbone.items() if not name.startswith("fc.")}
    detector |= {"region_norm.weight": some(features) + 1, "region_norm.bias": some(features), "region_norm.running_mean": some(features),
                 "region_norm.running_var": some(features) + 1, "region_norm.num_batches_tracked": np.array(9)}
    for name, shape in (("rpn.conv", (16 * width, 16 * width, 3, 3)), ("rpn.objectness", (15, 16 * width, 1, 1)),
                        ("rpn.deltas", (60, 16 * width, 1, 1)), ("predictor.classes", (len(CLASSES) + 1, features)),
                        ("predictor.deltas", (4 * len(CLASSES), features))):
        detector |= {name + ".weight": some(*shape), name + ".bias": some(shape[0])}
    return backbone, detector


class Python2(pickle._Pickler):
    """Texts and bytes as Python 2 writes its strings, and modules as numpy 1 calls them."""
    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, value):
        data = value.encode("latin1") if isinstance(value, str) else value
        if self.proto == 0:
            plain = "".join(c if c.isprintable() and ord(c) < 128 and c not in "'\\" else f"\\x{ord(c):02x}" for c in data.decode("latin1"))
            self.write(b"S'" + plain.encode() + b"'\n")
        elif len(data) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    def save_global(self, value, name=None):
        module = value.__module__.replace("numpy._core", "numpy.core")
        self.write(pickle.GLOBAL + f"{module}\n{value.__name__}\n".encode())
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string
    dispatch[type(copyreg.__newobj__)] = dispatch[type(len)] = dispatch[type] = save_global


class Numpy1(pickle._Pickler):
    """Modules as numpy 1 calls them."""
    dispatch = dict(pickle._Pickler.dispatch)

    def save_global(self, value, name=None):
        self.save(value.__module__.replace("numpy._core", "numpy.core"))
        self.save(value.__name__)
        self.write(pickle.STACK_GLOBAL)

    dispatch[type(copyreg.__newobj__)] = dispatch[type(len)] = dispatch[type] = save_global


def pickled(value, pickler, protocol):
    out = io.BytesIO()
    pickler(out, protocol).dump(value)
    return out.getvalue()


def arrays():
    rng = np.random.default_rng(2)
    base = rng.standard_normal((3, 4, 2, 5))
    result = {"row_major": base.astype(np.float32), "column_major": np.asfortranarray(base.astype(np.float32)),
              "turned": base.astype(np.float32).transpose(2, 0, 3, 1), "backward": base.astype(np.float32)[::-1, ::2],
              "double": base, "half": base.astype(np.float16), "big_endian": base.astype(">f4"), "long": np.arange(6).reshape(2, 3),
              "short": np.arange(-3, 3, dtype=np.int16), "flags": np.array([True, False]), "one": np.array(7), "none": np.zeros((0, 3), np.float32)}
    return result


def write_arrays():
    held = arrays()
    forms = {"protocol0": (pickle._Pickler, 0), "protocol2": (pickle._Pickler, 2), "protocol3": (pickle._Pickler, 3),
             "protocol4": (pickle._Pickler, 4), "protocol5": (pickle._Pickler, 5), "numpy1_protocol4": (Numpy1, 4),
             "python2_protocol0": (Python2, 0), "python2_protocol2": (Python2, 2)}
    for name, (pickler, protocol) in forms.items():
        data = pickled(held, pickler, protocol)
        read = pickle.loads(data, encoding="latin1")
        assert all(np.array_equal(read[key], value) and read[key].dtype.newbyteorder("=") == value.dtype.newbyteorder("=") for key, value in held.items()), name
        (OUT / f"arrays_{name}.pkl").write_bytes(data)
    save_file({key: np.ascontiguousarray(value.astype(value.dtype.newbyteorder("="))).reshape(value.shape) for key, value in held.items()},
              OUT / "arrays.safetensors")


def write_weights():
    backbone, detector = states()
    moco = {"model": {backbone_name(name): value for name, value in backbone.items()}, "__author__": "MOCO", "matching_heuristics": True}
    (OUT / "backbone_moco.pkl").write_bytes(pickle.dumps(moco))
    (OUT / "backbone_python2.pkl").write_bytes(pickled(moco, Python2, 2))
    theirs = {detector_name(name): value for name, value in detector.items()}
    (OUT / "detector.pkl").write_bytes(pickle.dumps({"model": theirs, "__author__": "Detectron2 Model Zoo"}))
    state = collections.OrderedDict((name, torch.from_numpy(np.asarray(value))) for name, value in theirs.items())
    state |= {"pixel_mean": torch.tensor([123.675, 116.28, 103.53]).reshape(3, 1, 1), "pixel_std": torch.tensor([58.395, 57.12, 57.375]).reshape(3, 1, 1),
              "proposal_generator.anchor_generator.cell_anchors.0": torch.zeros(15, 4)}
    torch.save({"model": state, "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.02, "params": [0]}]},
                "scheduler": {"last_epoch": 3}, "iteration": 3}, OUT / "detector.pth")
    save_file({name: np.ascontiguousarray(value).reshape(value.shape) for name, value in detector.items()}, OUT / "expected.safetensors",
              {"classes": json.dumps(CLASSES)})


def write_names(source):
    names = json.loads(pathlib.Path(source).read_text())
    shape = lambda extents: "x".join(map(str, extents))
    lines = ["\t".join(("loaded", ours, theirs, shape(extents))) for ours, theirs, extents in names["loaded"]]
    lines += ["\t".join(("ignored", ours, theirs, shape(extents))) for ours, theirs, extents in names["ignored_by_the_loader"]]
    lines += ["\t".join(("initialized", "", theirs, shape(extents))) for theirs, extents in names["left_at_initialisation"]]
    lines += ["\t".join(("sizes", str(names["weight_decay_zero"]), str(names["weight_decay_1e4"]), ""))]
    (OUT / "names.tsv").write_text("\n".join(lines) + "\n")


def check(folder):
    expected = load_file(OUT / "expected.safetensors")
    theirs = {detector_name(name): value for name, value in expected.items()}

    def same(read, wanted):
        assert set(read) == set(wanted), set(read) ^ set(wanted)
        for name, value in wanted.items():
            there = np.asarray(read[name])
            assert there.dtype == value.dtype and there.shape == value.shape and there.tobytes() == value.tobytes(), name

    with open(folder / "detector.pkl", "rb") as file:
        data = pickle.load(file, encoding="latin1")
    assert (data["__author__"], data["matching_heuristics"], data["classes"]) == ("invp", True, CLASSES)
    assert all(isinstance(value, np.ndarray) and value.flags.writeable for value in data["model"].values())
    same(data["model"], theirs)
    data = torch.load(folder / "detector.pth", weights_only=True)
    assert (data["matching_heuristics"], data["classes"]) == (True, CLASSES)
    same({name: value.numpy() for name, value in data["model"].items()}, theirs)
    same(load_file(folder / "detector.safetensors"), theirs)
    with open(folder / "backbone.pkl", "rb") as file:
        data = pickle.load(file, encoding="latin1")
    wanted = {backbone_name(name): value for name, value in states()[0].items() if not name.startswith("fc.")}
    same(data["model"], wanted)
    print("read as written:", len(theirs), "tensors of the detector,", len(wanted), "of the backbone")


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        check(pathlib.Path(sys.argv[2]))
    else:
        OUT.mkdir(parents=True, exist_ok=True)
        write_names(sys.argv[1])
        write_arrays()
        write_weights()
