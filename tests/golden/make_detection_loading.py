"""Makes tests/golden/data/detection/loading.json, the sizes that detectron2 0.6 (commit 02b5c4e2) gave pictures and where it placed boxes in them,
and loading.safetensors, a small picture (made here, no photograph) that Pillow 13.0.0 resized to short edges of 24 and 67. The folder given holds
schedule.json.

    python3 tests/golden/make_detection_loading.py FOLDER [numpy, Pillow and safetensors needed]
"""

import json
import pathlib
import sys

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

source = json.loads((pathlib.Path(sys.argv[1]) / "schedule.json").read_text())
y, x, c = np.mgrid[:45, :60, :3]
picture = ((x * 7 + y * 13 + c * 31 + x * y * (c + 1)) % 256).astype(np.uint8)


def resized(height, width):
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


target = pathlib.Path(__file__).parent / "data" / "detection"
(target / "loading.json").write_text(json.dumps({"sizes": source["resize"]["rows"], "boxes": source["boxes"]}, separators=(",", ":")) + "\n")
save_file({"picture": picture, "short_24": resized(24, 32), "short_67": resized(67, 89)}, target / "loading.safetensors")
