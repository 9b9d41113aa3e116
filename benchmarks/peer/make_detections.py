"""Draws objects and detections for benchmarks of evaluators: FOLDER/coco and FOLDER/voc.

Half of the detections lie near an object of their picture, the others anywhere. Pictures are not
drawn: no evaluator opens them.
"""

import argparse
import json
import pathlib

import numpy

WIDTH, HEIGHT = 640, 480
VOC_CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
).split()


def boxes(random, n):
    """(n, 4): left, top, right, bottom."""
    size = random.uniform(16, 200, (n, 2))
    corner = random.uniform(0, 1, (n, 2)) * (numpy.array([WIDTH, HEIGHT]) - size)
    return numpy.hstack([corner, corner + size])


def draw(args, random, classes):
    """Objects (picture, class, box) and detections (picture, class, score, box)."""
    pictures = random.integers(0, args.pictures, args.objects)
    labels = random.integers(0, classes, args.objects)
    objects = list(zip(pictures, labels, boxes(random, args.objects)))
    of_picture = [[] for _ in range(args.pictures)]
    for picture, label, box in objects:
        of_picture[picture].append((label, box))
    detections = []
    for picture, there in enumerate(of_picture):
        labels = random.integers(0, classes, args.per_picture)
        found = boxes(random, args.per_picture)
        scores = random.uniform(0, 0.7, args.per_picture)
        for i in range(args.per_picture // 2 if there else 0):
            label, box = there[i % len(there)]
            labels[i], scores[i] = label, random.uniform(0.2, 1)
            moved = box + random.normal(0, 12, 4)
            found[i] = numpy.concatenate([moved[:2], numpy.maximum(moved[2:], moved[:2] + 4)])
        detections += zip([picture] * args.per_picture, labels, scores, found)
    return objects, detections


def as_coco(box):
    left, top, right, bottom = (round(float(x), 2) for x in box)
    return [left, top, round(right - left, 2), round(bottom - top, 2)]


def write_coco(folder, args, random):
    objects, detections = draw(args, random, 80)
    data = {
        "images": [
            {"id": i + 1, "file_name": f"{i + 1:012}.jpg", "width": WIDTH, "height": HEIGHT}
            for i in range(args.pictures)
        ],
        "categories": [{"id": i + 1, "name": f"class{i + 1}"} for i in range(80)],
        "annotations": [
            {
                "id": i + 1,
                "image_id": int(picture) + 1,
                "category_id": int(label) + 1,
                "bbox": as_coco(box),
                "area": as_coco(box)[2] * as_coco(box)[3],
                "iscrowd": 0,
            }
            for i, (picture, label, box) in enumerate(objects)
        ],
    }
    results = [
        {
            "image_id": int(picture) + 1,
            "category_id": int(label) + 1,
            "bbox": as_coco(box),
            "score": round(float(score), 5),
        }
        for picture, label, score, box in detections
    ]
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "annotations/instances_val2017.json").write_text(json.dumps(data))
    (folder / "results.json").write_text(json.dumps(results))


def voc_object(label, box):
    corners = zip(("xmin", "ymin", "xmax", "ymax"), box)
    places = "".join(f"<{name}>{int(at) + 1}</{name}>" for name, at in corners)
    return (
        f"<object><name>{VOC_CLASSES[label]}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>0</difficult><bndbox>{places}</bndbox></object>"
    )


def write_voc(folder, args, random):
    objects, detections = draw(args, random, len(VOC_CLASSES))
    year, found = folder / "VOCdevkit/VOC2007", folder / "results"
    # A devkit without its folder of pictures is taken for none.
    for path in (year / "Annotations", year / "JPEGImages", year / "ImageSets/Main", found):
        path.mkdir(parents=True, exist_ok=True)
    ids = [f"{i + 1:06}" for i in range(args.pictures)]
    (year / "ImageSets/Main/test.txt").write_text("".join(f"{name}\n" for name in ids))
    inside = [[] for _ in ids]
    for picture, label, box in objects:
        inside[picture].append(voc_object(label, box))
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    for name, there in zip(ids, inside):
        text = f"<annotation><filename>{name}.jpg</filename>{size}{''.join(there)}</annotation>"
        (year / f"Annotations/{name}.xml").write_text(text)
    lines = [[] for _ in VOC_CLASSES]
    for picture, label, score, box in detections:
        places = " ".join(f"{x + 1:.1f}" for x in box)
        lines[label].append(f"{ids[picture]} {score:.5f} {places}\n")
    for name, of_class in zip(VOC_CLASSES, lines):
        (found / f"comp4_det_test_{name}.txt").write_text("".join(of_class))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--objects", type=int, default=36000)
    parser.add_argument("--per-picture", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write_coco(args.folder / "coco", args, numpy.random.default_rng(args.seed))
    write_voc(args.folder / "voc", args, numpy.random.default_rng(args.seed + 1))


if __name__ == "__main__":
    main()
