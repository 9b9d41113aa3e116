"""Makes tests/golden/data/detection/tiny.safetensors and norms.safetensors: what a narrow Faster R-CNN R50-C4 of detectron2 0.6 (commit
02b5c4e2) computed on two small pictures, and its batch norm over four ranks, cut to what the tests read and under our names of tensors.
The folder given holds the files of the whole experiment (tiny_*.safetensors, tiny_*.json, bn_four_ranks, precise_bn).

    python3 tests/golden/make_detection_model.py FOLDER [numpy and safetensors needed]
"""

import json
import pathlib
import re
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

FOLDER = pathlib.Path(sys.argv[1])
HERE = pathlib.Path(__file__).parent / "data" / "detection"
RENAMED = [
    (r"^backbone\.stem\.conv1\.norm\.", "bn1."),
    (r"^backbone\.stem\.", ""),
    (r"^backbone\.res(\d)\.", lambda m: f"layer{int(m[1]) - 1}."),
    (r"^roi_heads\.res5\.norm\.", "region_norm."),
    (r"^roi_heads\.res5\.", "layer4."),
    (r"\.shortcut\.norm\.", ".downsample.1."),
    (r"\.shortcut\.", ".downsample.0."),
    (r"\.conv(\d)\.norm\.", r".bn\1."),
    (r"^proposal_generator\.rpn_head\.objectness_logits\.", "rpn.objectness."),
    (r"^proposal_generator\.rpn_head\.anchor_deltas\.", "rpn.deltas."),
    (r"^proposal_generator\.rpn_head\.conv\.", "rpn.conv."),
    (r"^roi_heads\.box_predictor\.cls_score\.", "predictor.classes."),
    (r"^roi_heads\.box_predictor\.bbox_pred\.", "predictor.deltas."),
]


def ours(name):
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def narrow(array):
    return array.astype(np.int32) if array.dtype.kind in "iu" and array.dtype != np.uint8 else array


tensors = {}


def take(file, prefix, keep=lambda name: True, rename=lambda name: name):
    for name, array in load_file(FOLDER / f"{file}.safetensors").items():
        if keep(name):
            tensors[prefix + rename(name)] = narrow(array)


take("tiny_weights", "weights.", rename=ours)
take("tiny_inputs", "inputs.")
take("tiny_a_forward", "a.forward.", lambda name: re.match(r"\d\.proposals|res4|rpn\.|roi\.scores", name) is not None)
for case in "ab":
    take(f"tiny_{case}_grads", f"{case}.grad.", rename=ours)
    take(f"tiny_{case}_samples", f"{case}.", lambda name: re.match(r"s\d+\.", name) is not None)
    report = json.loads((FOLDER / f"tiny_{case}.json").read_text())
    tensors[f"{case}.losses"] = np.asarray(report["forced_f64"], np.float32)
    for key, prefix in (("grad_error_f32_vs_f64", "grad_error"), ("final_norms_f64", "final_norm")):
        for name, value in report[key].items():
            tensors[f"{case}.{prefix}.{ours(name)}"] = np.asarray(value, np.float32)
take("tiny_inference", "inference.", lambda name: re.match(r"\d\.(boxes|scores|classes)", name) is not None)
take("tiny_precise_bn", "precise.", rename=lambda name: re.match(r"\w+\.", name)[0] + ours(re.sub(r"^\w+\.", "", name)))
tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
save_file(tensors, HERE / "tiny.safetensors")

tensors = {}
take("bn_four_ranks", "ranks.")
take("precise_bn", "precise.")
save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, HERE / "norms.safetensors")
