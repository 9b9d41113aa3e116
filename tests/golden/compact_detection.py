"""Writes tests/golden/data/detection/eval_*.json: what the tests of the evaluators need of a folder with the full reference numbers
(eval_voc.json, eval_coco.json, eval_coco_precision.safetensors), which detectron2 0.6 and pycocotools 2.0.11 computed.

    tests/golden/compact_detection.py FOLDER

Precision is kept as its mean over the 101 points of recall. Needs numpy and safetensors."""
import json
import pathlib
import sys

import numpy as np
from safetensors.numpy import load_file

source = pathlib.Path(sys.argv[1])
target = pathlib.Path(__file__).parent / "data" / "detection"


def write(name, content):
    target.mkdir(parents=True, exist_ok=True)
    (target / name).write_text(json.dumps(content, separators=(",", ":")) + "\n")


def compact_objects(images, classes):
    return [[i["id"], i["w"], i["h"], [[classes.index(o["name"]), o["difficult"], *o["box"]] for o in i["objects"]]] for i in images]


voc = json.loads((source / "eval_voc.json").read_text())
classes = voc["classes"]
write("eval_voc.json", {
    case: {
        "images": compact_objects(voc[case]["images"], classes),
        "detections": voc[case]["detections"],
        "lines": voc[case]["lines"],
        **{rule: {"ap": [voc[case][rule]["ap_per_class"][name] for name in classes], "summary": voc[case][rule]["summary"]}
           for rule in ("eleven_point", "area")},
    } for case in ("main", "edge")})

coco = json.loads((source / "eval_coco.json").read_text())
arrays = load_file(source / "eval_coco_precision.safetensors")
write("eval_coco.json", {
    "ground_truth": coco["ground_truth"],
    "detections": coco["detections"],
    "iou_thresholds": coco["iou_thresholds"],
    "stats": list(coco["stats"].values()),
    "ap": [of["AP_per_threshold"] for of in coco["per_category"].values()],
    "mean_precision": np.round(arrays["precision"].astype(np.float64).mean(1), 8).ravel().tolist(),
    "recall": np.round(arrays["recall"].astype(np.float64), 8).ravel().tolist(),
})
