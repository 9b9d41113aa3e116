"""detectron2's Faster R-CNN R50-C4 in full width: a training step, or the detections of a picture.

As InvP and MoCo train it: every norm a plain batch norm over the batch, and one more behind the
last stage. The picture is noise. `--size` is its height and width in pixels.
"""

import argparse

import common

if __name__ == "__main__":
    common.tune_environment()

import torch
from detectron2.config import get_cfg
from detectron2.layers import get_norm
from detectron2.modeling import ROI_HEADS_REGISTRY, build_model
from detectron2.modeling.roi_heads import Res5ROIHeads
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage

STAGE_OUT = 2048  # channels of the last stage
SIZES = {"train": (480, 640), "infer": (800, 1067)}
# left, top, right and bottom as shares of the picture, and the class
OBJECTS = [(0.1, 0.1, 0.5, 0.8, 6), (0.45, 0.3, 0.95, 0.9, 11), (0.02, 0.02, 0.2, 0.2, 1)]


@ROI_HEADS_REGISTRY.register()
class NormedRes5Heads(Res5ROIHeads):
    """One more norm behind the last stage, whose features are otherwise unbounded."""

    def __init__(self, cfg, input_shape):
        super().__init__(cfg, input_shape)
        self.res5.add_module("norm", get_norm(cfg.MODEL.RESNETS.NORM, STAGE_OUT))


def configuration(proposals):
    cfg = get_cfg()
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.MASK_ON = False
    cfg.MODEL.BACKBONE.FREEZE_AT = 0
    cfg.MODEL.RESNETS.NORM = "BN"
    cfg.MODEL.RESNETS.STRIDE_IN_1X1 = False
    cfg.MODEL.ROI_HEADS.NAME = "NormedRes5Heads"
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 20
    cfg.MODEL.RPN.PRE_NMS_TOPK_TEST = 6000
    cfg.MODEL.RPN.POST_NMS_TOPK_TEST = proposals or 1000
    cfg.MODEL.RPN.POST_NMS_TOPK_TRAIN = proposals or 2000
    return cfg


def picture(height, width):
    return {
        "image": torch.randint(0, 256, (3, height, width), dtype=torch.uint8),
        "height": height,
        "width": width,
    }


def with_objects(given):
    """The picture with what is to be found in it."""
    height, width = given["height"], given["width"]
    objects = Instances((height, width))
    scale = torch.tensor([width, height, width, height])
    objects.gt_boxes = Boxes(torch.tensor([corners for *corners, _ in OBJECTS]) * scale)
    objects.gt_classes = torch.tensor([label for *_, label in OBJECTS])
    return given | {"instances": objects}


def training_step(net, batch):
    net.train()
    optimiser = torch.optim.SGD(
        net.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4, fused=True
    )

    def step():
        loss = sum(net(batch).values())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


def inference(net, batch):
    """As of a trained network, features are of unit scale and proposals overlap little: otherwise
    few would be left to pool."""
    with torch.no_grad():
        net.train()
        norms = [m for m in net.backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1  # the statistics become this picture's
        net.backbone(net.preprocess_image(batch).tensor)
    net.eval()
    head = net.proposal_generator.rpn_head
    torch.nn.init.normal_(head.anchor_deltas.weight, std=0.02)
    torch.nn.init.normal_(head.objectness_logits.weight, std=0.3)

    def detect():
        with torch.inference_mode():
            net(batch)

    return detect


def count_regions(net):
    """A list whose last entry is how many regions the last call pooled."""
    counts = []

    def note(_, inputs):
        counts.append(sum(len(boxes) for boxes in inputs[1]))

    net.roi_heads.pooler.register_forward_pre_hook(note)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", choices=list(SIZES), default="train")
    layouts = ["channels-last", "channels-first"]
    parser.add_argument("--layout", choices=layouts, default=layouts[0])
    parser.add_argument("--size", help="HEIGHT,WIDTH; default: 480,640, or 800,1067 to infer")
    parser.add_argument("--proposals", type=int, help="most per picture; default: 2000, or 1000")
    common.add_common_arguments(parser, repeats=3)
    args = parser.parse_args()
    args.warm_up = min(args.warm_up, 1)  # a step is half a minute, and the second is as fast
    torch.manual_seed(args.seed)
    torch.set_flush_denormal(True)

    height, width = map(int, args.size.split(",")) if args.size else SIZES[args.work]
    net = build_model(configuration(args.proposals))
    if args.layout == "channels-last":
        net = net.to(memory_format=torch.channels_last)
    given = picture(height, width)
    regions = count_regions(net)
    with EventStorage():
        if args.work == "train":
            work = training_step(net, [with_objects(given)])
        else:
            work = inference(net, [given])
        times = common.measure(work, args.repeats, args.warm_up)
    common.report(times, 1, layout=args.layout, regions=regions[-1])


if __name__ == "__main__":
    main()
