"""Makes the checkpoints that tests/layers/checkpoint_files_test.cpp reads: one for each project and way of saving, laid out as the
project lays it out, around a narrow ResNet with random weights and running statistics.

    python3 tests/golden/make_checkpoints.py [torch, torchvision, numpy and safetensors needed]

features.safetensors holds the images and, for each file, the pooled features that PyTorch computes from its network.
"""

import argparse
import collections
import copy
import datetime
import enum
import io
import pathlib
import pickle
import struct
import sys
import tarfile
import types
import zipfile

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

OUT = pathlib.Path(__file__).parent / "data" / "weights"


class ResNet(torchvision.models.ResNet):
    """torchvision's, of any width; `cifar`: a 3x3 stem of stride 1 and no pool."""

    def __init__(self, block=BasicBlock, layers=(2, 2, 2, 2), width=1, cifar=False):
        nn.Module.__init__(self)
        self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = nn.BatchNorm2d, width, 1, 1, 64
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False) if cifar else nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if cifar else nn.MaxPool2d(3, 2, 1)
        for i, count in enumerate(layers):
            setattr(self, f"layer{i + 1}", self._make_layer(block, width << i, count, stride=1 if i == 0 else 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width * block.expansion, 4)


def randomized(network, seed):
    generator = torch.Generator().manual_seed(seed)
    uniform = lambda t, low, high: t.copy_(torch.rand(t.shape, generator=generator) * (high - low) + low)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                bound = (6 / module.weight[0].numel()) ** 0.5
                uniform(module.weight, -bound, bound)
            elif isinstance(module, nn.BatchNorm2d):
                uniform(module.weight, 0.5, 1.5)
                uniform(module.bias, -0.3, 0.5)
                uniform(module.running_mean, -0.3, 0.3)
                uniform(module.running_var, 0.5, 2)
                module.num_batches_tracked.fill_(seed)
    return network.eval()


def features(network, images):
    with torch.no_grad():
        network = copy.deepcopy(network).double()
        network.fc = nn.Identity()
        return network(images.double()).float()


def under(prefix, state):
    return collections.OrderedDict((prefix + name, value) for name, value in state.items())


def without_head(network):
    return collections.OrderedDict((k, v) for k, v in network.state_dict().items() if not k.startswith("fc."))


def sequential(network, last=-1):
    """The names that nn.Sequential(*list(network.children())[:-1]) gives."""
    return nn.Sequential(*list(network.children())[:last]).state_dict()


def shortcuts(state):
    return collections.OrderedDict((k.replace(".downsample.", ".shortcut."), v) for k, v in state.items())


def linear(*sizes):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def optimizer(network):
    """The state of an optimizer after a step."""
    trained = copy.deepcopy(network).train()
    sgd = torch.optim.SGD(trained.parameters(), lr=0.03, momentum=0.9)
    trained(torch.zeros(2, 3, 32, 32)).sum().backward()
    sgd.step()
    return sgd.state_dict()


def elsewhere(module, name, base=object):
    """A class of a module that is not there when the file is read."""
    made = type(name, (base,), {"__module__": module})
    for end in [i for i, c in enumerate(module + ".") if c == "."]:
        sys.modules.setdefault(module[:end], types.ModuleType(module[:end]))
    setattr(sys.modules[module], name, made)
    return made


class Color(enum.Enum):
    RED = 1


class Subclass(nn.Parameter):
    pass


def harmless():
    """What training scripts leave beside the weights."""
    table = collections.defaultdict(list)
    table["a"].append(1)
    rng = np.random.default_rng(3)
    return {
        "args": argparse.Namespace(lr=0.03, path=pathlib.PurePosixPath("/data"), nested=argparse.Namespace(a=[1, None])),
        "counter": collections.Counter("abca"), "device": torch.device("cpu"), "dtype": torch.float16, "size": torch.Size([2, 3]),
        "rng": torch.get_rng_state(), "numpy_rng": np.random.get_state(), "generator": rng, "set": {1, 2}, "frozen": frozenset("ab"),
        "scalar": np.float32(1.5), "unsigned": np.uint32(7), "text": np.str_("x"), "names": np.array(["a", "bc"]), "objects": np.array([None, {}]),
        "big": 1 << 200, "color": Color.RED, "when": datetime.datetime(2020, 1, 2), "table": table, "complex": 1 + 2j, "bytes": b"\0\xff",
        ("a", 1): "tuple key", 1.5: "float key", "function": len, "class": nn.Linear, "deque": collections.deque([1], 3), "range": range(3),
        "slice": slice(1, 2), "loss": nn.CrossEntropyLoss(), "config": elsewhere("omegaconf.dictconfig", "DictConfig", dict)(a=1),
        "object": elsewhere("project.utils", "Meter")(), "sparse": torch.eye(2).to_sparse(),
        "quantized": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "step": torch.tensor(3),
    }


def save_tar(state, path):
    """What torch.save wrote before 0.2."""
    tensors = list(state.values())
    tensor_class = {torch.float32: "FloatTensor", torch.int64: "LongTensor"}
    storage_class = {torch.float32: torch.FloatStorage, torch.int64: torch.LongStorage}

    class Global:
        pass

    class Pickler(pickle._Pickler):
        def persistent_id(self, value):
            return str(id(value)) if isinstance(value, torch.Tensor) else None

        def save_pair(self, value):
            self.write(pickle.GLOBAL + f"torch\n{value.name}\n".encode())

        dispatch = {**pickle._Pickler.dispatch, Global: save_pair}

    def dump(value, out):
        Pickler(out, 2).dump(value)

    def named(name):
        result = Global()
        result.name = name
        return result

    storages, places, pickled = io.BytesIO(), io.BytesIO(), io.BytesIO()
    dump(len(tensors), storages)
    dump(len(tensors), places)
    for i, tensor in enumerate(tensors):
        dump((1000 + i, "cpu", storage_class[tensor.dtype]), storages)
        flat = tensor.contiguous().numpy()
        storages.write(struct.pack("<q", flat.size) + flat.tobytes())
        dump((id(tensor), 1000 + i, named(tensor_class[tensor.dtype])), places)
        places.write(struct.pack(f"<ii{tensor.dim()}q{tensor.dim()}qq", tensor.dim(), 0, *tensor.shape, *tensor.stride(), 0))
    dump([], storages)
    dump(state, pickled)
    system = io.BytesIO()
    dump({"protocol_version": 1000, "little_endian": True}, system)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, part in (("sys_info", system), ("pickle", pickled), ("tensors", places), ("storages", storages)):
            info = tarfile.TarInfo(name)
            info.size = part.tell()
            part.seek(0)
            tar.addfile(info, part)


def deflated(path):
    with zipfile.ZipFile(path) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def rounded(network, dtype):
    result = copy.deepcopy(network)
    with torch.no_grad():
        for tensor in result.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.to(dtype).to(tensor.dtype))
    return result


class Files:
    def __init__(self):
        self.images = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(9)) * 4 - 2
        self.tensors = {"images": self.images}

    def expect(self, name, network):
        self.tensors[name] = features(network, self.images)
        return OUT / name

    def save(self, name, network, contents, **how):
        torch.save(contents, self.expect(name, network), **how)


def write_projects(files):
    net, other = randomized(ResNet(), 1), randomized(ResNet(), 2)
    deep = randomized(ResNet(Bottleneck, (3, 4, 6, 3)), 3)
    small = randomized(ResNet(cifar=True), 4)
    old = {"_use_new_zipfile_serialization": False}
    state, momentum = net.state_dict(), other.state_dict()

    files.save("imagenet_example.pth.tar", net, {
        "epoch": 90, "arch": "resnet18", "state_dict": under("module.", state), "best_acc1": torch.tensor(69.76),
        "optimizer": optimizer(net), "scheduler": {"step_size": 30, "_last_lr": [0.1]}})
    mlp = copy.deepcopy(net)
    mlp.fc = linear(8, 8, 16)
    mlp_k = copy.deepcopy(other)
    mlp_k.fc = linear(8, 8, 16)
    files.save("moco_v2.pth.tar", net, {
        "epoch": 200, "arch": "resnet18", "optimizer": {"state": {}, "param_groups": []}, "state_dict": under("module.", {
            **under("encoder_q.", mlp.state_dict()), **under("encoder_k.", mlp_k.state_dict()), "queue": torch.zeros(16, 8),
            "queue_ptr": torch.zeros(1, dtype=torch.int64)})}, **old)
    for network in (mlp, mlp_k):
        network.fc = nn.Sequential(nn.Linear(8, 6, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4, bias=False), nn.BatchNorm1d(4))
    files.save("moco_v3.pth.tar", net, {"epoch": 100, "arch": "resnet18", "state_dict": under("module.", {
        **under("base_encoder.", mlp.state_dict()), **under("momentum_encoder.", mlp_k.state_dict()),
        **under("predictor.", linear(4, 6, 4).state_dict())}), "scaler": {"scale": 65536.0}}, **old)
    files.save("simclr.pth.tar", net, {"epoch": 100, "arch": "resnet18", "state_dict": under("backbone.", state)}, **old)
    files.save("byol_online_encoder.pt", net, {
        **under("online_encoder.net.", state), **under("online_encoder.projector.net.", linear(8, 6, 4).state_dict()),
        **under("target_encoder.net.", momentum), **under("online_predictor.net.", linear(4, 6, 4).state_dict())}, **old)
    files.save("byol_online_network.pth", net, {
        "online_network_state_dict": under("encoder.", sequential(net)),
        "target_network_state_dict": under("encoder.", sequential(other)), "optimizer_state_dict": {"state": {}, "param_groups": []}}, **old)
    files.save("dino.pth", net, {
        "student": under("module.", {**under("backbone.", momentum), "head.mlp.0.weight": torch.ones(2, 8)}),
        "teacher": under("module.", {**under("backbone.", without_head(net)), "head.mlp.0.weight": torch.ones(2, 8)}),
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}, "epoch": 100, "args": argparse.Namespace(arch="resnet18", out_dim=65536),
        "dino_loss": {"center": torch.zeros(1, 8)}}, **old)
    files.save("swav.pth.tar", net, {"epoch": 400, "state_dict": under("module.", {
        **without_head(net), **under("projection_head.", linear(8, 8, 4).state_dict()), "prototypes.weight": torch.ones(3, 4)})}, **old)
    files.save("vissl_pirl.torch", deep, {
        "phase_idx": 99, "iteration": 1, "loss": 0.5, "type": "checkpoint", "classy_state_dict": {"train": True, "meters": [], "base_model": {
            "model": {"trunk": under("_feature_blocks.", without_head(deep)), "heads": {"0.clf.0.weight": torch.ones(2, 32)}}, "meters": {}}}}, **old)
    files.save("openselfsup_moco.pth", net, {
        "meta": {"mmcv_version": "0.5", "time": "Sun", "epoch": 200, "iter": 1}, "state_dict": {
            **under("encoder_q.0.", without_head(net)), **under("encoder_q.1.mlp.", linear(8, 8, 4).state_dict()),
            **under("encoder_k.0.", without_head(other)), **under("backbone.", without_head(net)), "queue": torch.zeros(4, 8)}}, **old)
    files.save("lightly_moco.ckpt", net, {
        "epoch": 9, "global_step": 100, "pytorch-lightning_version": "2.1.0", "state_dict": {
            **under("backbone.", sequential(net)), **under("projection_head.layers.", linear(8, 8, 4).state_dict()),
            **under("backbone_momentum.", sequential(other))},
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 10}}}}, "lr_schedulers": [{"last_epoch": 10}],
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5), "best_model_path": pathlib.PurePosixPath("a")}},
        "optimizer_states": [{"state": {}, "param_groups": []}], "hparams_name": "kwargs", "hyper_parameters": collections.OrderedDict(lr=0.06)}, **old)
    files.save("solo_learn.ckpt", net, {
        "epoch": 399, "state_dict": {
            **under("backbone.", without_head(net)), **under("momentum_backbone.", without_head(other)),
            **under("classifier.", {"weight": torch.ones(4, 8), "bias": torch.ones(4)}), **under("projector.", linear(8, 8, 4).state_dict())},
        "hyper_parameters": {"cfg": elsewhere("omegaconf.dictconfig", "DictConfig", dict)(method="byol")}}, **old)
    files.save("supcon.pth", small, {
        "opt": argparse.Namespace(model="resnet18"), "epoch": 1000, "optimizer": {"state": {}, "param_groups": []}, "model": {
            **under("encoder.module.", shortcuts(without_head(small))), **under("head.", linear(8, 8, 4).state_dict())}}, **old)
    files.save("kuangliu_cifar.pth", small, {
        "net": under("module.", {**shortcuts(without_head(small)), "linear.weight": torch.ones(10, 8), "linear.bias": torch.ones(10)}),
        "acc": 95.5, "epoch": 199}, **old)
    files.save("timm.pth.tar", net, {"epoch": 1, "arch": "resnet18", "state_dict": state, "version": 2, "args": argparse.Namespace(model="resnet18"),
                                     "amp_scaler": {"scale": 1.0}, "metric": 70.0}, **old)
    files.save("compiled.pt", net, {"model_state_dict": under("module._orig_mod.", state), "epoch": 3}, **old)
    files.save("whole_module.pth", net, {"ema": net}, **old)


def write_forms(files):
    net = randomized(ResNet(), 1)
    state = net.state_dict()
    save_tar(state, files.expect("tar_form.pth", net))
    files.save("deflated.pth", net, state)
    deflated(OUT / "deflated.pth")
    torch.serialization.set_crc32_options(False)
    files.save("without_crc.pth", net, {"state_dict": state})
    torch.serialization.set_crc32_options(True)
    parameters = collections.OrderedDict((k, Subclass(v, requires_grad=False) if v.is_floating_point() else v) for k, v in state.items())
    for protocol in (2, 5):
        files.save(f"harmless_{protocol}.pth", net, {**harmless(), "model": parameters if protocol == 2 else state}, pickle_protocol=protocol,
                   _use_new_zipfile_serialization=False)
    one_storage = torch.cat([v.float().flatten() for v in state.values()])
    places = np.cumsum([0] + [v.numel() for v in state.values()])
    views = {k: one_storage[a:b].view(v.shape) for (k, v), a, b in zip(state.items(), places, places[1:]) if v.is_floating_point()}
    files.save("flat_parameters.pth", net, views)
    for name in ("bfloat16", "float16", "float64", "float8_e4m3fn", "float8_e5m2"):
        dtype = getattr(torch, name)
        stored = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
        files.save(f"{name}.pth", rounded(net, dtype), stored, **({} if "8_" in name else {"_use_new_zipfile_serialization": False}))
        if name == "float8_e4m3fn":
            save_file({k: v.contiguous() for k, v in stored.items()}, files.expect(f"{name}.safetensors", rounded(net, dtype)))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    np.random.seed(0)
    files = Files()
    write_projects(files)
    write_forms(files)
    save_file(files.tensors, OUT / "features.safetensors")


if __name__ == "__main__":
    main()
