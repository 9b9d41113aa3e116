"""Judges detections with pycocotools, or with the VOC evaluator that detectron2 brings.

From files to figures, on what make_detections.py writes. VOC: all classes at ten overlaps by
`--metric`, of which one call computes one.
"""

import argparse
import contextlib
import io
import pathlib

import common

if __name__ == "__main__":
    common.tune_environment()

import numpy


def coco(folder, metric):
    del metric  # all twelve figures
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "annotations/instances_val2017.json"))
        judge = COCOeval(truth, truth.loadRes(str(folder / "results.json")), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return {"ap": 100 * judge.stats[0], "ap50": 100 * judge.stats[1]}


def voc(folder, metric):
    from detectron2.evaluation.pascal_voc_evaluation import voc_eval

    year = folder / "VOCdevkit/VOC2007"
    found = folder / "results"
    classes = sorted(path.stem.removeprefix("comp4_det_test_") for path in found.iterdir())
    at_overlap = [
        numpy.mean(
            [
                voc_eval(
                    str(found / "comp4_det_test_{}.txt"),
                    str(year / "Annotations/{}.xml"),
                    str(year / "ImageSets/Main/test.txt"),
                    name,
                    ovthresh=overlap / 100,
                    use_07_metric=metric == "voc07",
                )[2]
                for name in classes
            ]
        )
        for overlap in range(50, 100, 5)
    ]
    return {"ap": 100 * numpy.mean(at_overlap), "ap50": 100 * at_overlap[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="FOLDER/coco or FOLDER/voc")
    parser.add_argument("--metric", choices=["coco", "voc07", "voc12"], required=True)
    common.add_common_arguments(parser, seed=False)
    args = parser.parse_args()

    figures = {}
    judge = coco if args.metric == "coco" else voc
    # Once, whatever --repeats says: detectron2's evaluator keeps the annotations it has read.
    times = common.measure(lambda: figures.update(judge(args.data, args.metric)), 1, 0)
    common.report(times, **figures)


if __name__ == "__main__":
    main()
