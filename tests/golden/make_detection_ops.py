"""Makes tests/golden/data/detection/ops.safetensors: what the detection operations of torchvision 0.29.2 and detectron2 0.6
(commit 02b5c4e2) gave on small inputs, cut to what the tests read. The folder given holds the files of the whole experiment
(ops_roi_align, ops_nms, ops_boxes, ops_match, ops_losses and ops_select, each .safetensors).

    python3 tests/golden/make_detection_ops.py FOLDER [numpy and safetensors needed]
"""

import pathlib
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

FOLDER = pathlib.Path(sys.argv[1])
HERE = pathlib.Path(__file__).parent / "data" / "detection"
# Roi align: 14 bins with samples by size; 7 with two; the same two on odd boxes; the form without the half cell.
KEPT = {
    "roi_align": ["a.", "b.", "c.", "d.", "e."],
    "nms": ["a.", "b.", "c.", "d.", "f.scores", "f.keep_0.5"],
    "boxes": ["src", "dst", "deltas", "rpn.encoded", "rpn.decoded", "roi.encoded", "roi.decoded", "iou", "clipped"],
    "match": ["rpn.", "roi."],
    "losses": ["smooth_l1.", "rpn.deltas", "rpn.labels", "rpn.matched_gt", "rpn.loss_loc", "rpn.grad_deltas", "roi.deltas",
               "roi.classes", "roi.proposals", "roi.gt_boxes", "roi.loss_box_reg"],
    "select": ["logits", "deltas", "small."],
}


def narrow(array):
    """Whole numbers in the smallest type that holds them."""
    if array.dtype.kind not in "iu":
        return array
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    return array.astype(np.uint8 if low >= 0 and high < 256 else np.int8 if low >= -128 and high < 128 else np.int32)


tensors = {}
for name, prefixes in KEPT.items():
    for key, array in load_file(FOLDER / f"ops_{name}.safetensors").items():
        if key.startswith(tuple(prefixes)) and "class_by_class" not in key:
            tensors[f"{name}.{key}"] = narrow(array)
HERE.mkdir(parents=True, exist_ok=True)
save_file(tensors, HERE / "ops.safetensors")
