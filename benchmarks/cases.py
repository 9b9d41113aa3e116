"""What is compared: each piece of work as one command of ours and one or more of the peer's."""

from dataclasses import dataclass, field

BANK = 1281167  # images of ImageNet


@dataclass
class Case:
    name: str
    title: str
    ours: list  # arguments of `invp`
    peers: dict  # form -> [script, arguments]
    goals: dict  # form -> how many times the peer's speed is wanted
    rate: str | None = "images_per_second"  # None: the goal is about milliseconds
    memory_goal: float | None = None  # our peak over the peer's
    data_bytes: int = 0  # what the work is about, and must be in memory whoever does it
    needs: str | None = None  # an option that says where the data is
    clock: str = "json"  # or "wall": our own figure is the wall time of the whole command
    notes: list = field(default_factory=list)


def step(name, title, goal, memory_goal=None, **options):
    arguments = [
        part
        for key, value in options.items()
        for part in (f"--{key.replace('_', '-')}", str(value))
    ]
    return Case(
        name,
        title,
        ["bench", "step", "--objective", "released", *arguments],
        {form: ["peer_step.py", "--mode", form, *arguments] for form in ("eager", "compile")},
        {"eager": goal, "compile": goal},
        memory_goal=memory_goal,
    )


def ranks(width):
    """Two ranks of one thread each beside one process of two threads, and beside the peer's ranks.
    Norms of the ranks see half a batch each, on both sides."""
    work = ["--arch", "resnet18-cifar", "--width", str(width), "--batch-size", "128"]
    work += ["--image-size", "32", "--bank", "10000", "--hard-positives", "20"]
    ours = ["bench", "step", "--objective", "released", "--device", "cpu", *work]
    one = "ours, one process"
    return Case(
        f"ranks-{width}",
        f"training step on two ranks of one thread, ResNet-18-CIFAR width {width}, batch 128",
        [*ours, "--ranks", "2", "--bn-groups", "2", "--threads", "1", "--repeats", "15"],
        {
            one: ["invp", *ours, "--threads", "2", "--repeats", "15"],
            "DDP": ["peer_step.py", "--ranks", "2", "--threads", "1", "--repeats", "15", *work],
        },
        {one: 0.87, "DDP": 1.2},
    )


def network(arch, batch, size):
    return ["--arch", arch, "--batch-size", str(batch), "--image-size", str(size)]


def detect(name, title, work, goal, memory_goal=None):
    """Every norm a batch norm, and one more behind the last stage."""
    layouts = ("channels-last", "channels-first")
    return Case(
        name,
        f"Faster R-CNN R50-C4, {title}",
        ["bench", "detect", "--work", work],
        {form: ["peer_detect.py", "--work", work, "--layout", form] for form in layouts},
        dict.fromkeys(layouts, goal),
        memory_goal=memory_goal,
    )


def judge(name, title, metric, folder, data, results, form):
    return Case(
        name,
        f"5,000 pictures with 100 detections each, {title}",
        ["detect", "eval", "--data", f"{folder}/{data}", "--detections", f"{folder}/{results}"]
        + ["--metric", metric],
        {form: ["peer_detect_eval.py", "--data", folder, "--metric", metric]},
        {form: 5.0},
        rate=None,
        needs="detections",
        clock="wall",
        notes=["ours is the wall time of the whole command, the peer's leaves its start out"],
    )


def cases(args):
    photos, cifar, drawn = args.photos, args.cifar, args.detections
    small = dict(
        arch="resnet18-cifar", batch_size=128, image_size=32, bank=10000, hard_positives=20
    )
    search = ["--bank", str(BANK), "--dim", "128", "--batch-size", "128", "--background", "4096"]
    knn = ["--bank", str(BANK), "--queries", "2000", "--k", "200"]
    infer = network("resnet50", 32, 224)
    train = ["--arch", "resnet18-cifar", "--width", "16", "--batch-size", "128"]
    data = ["--data", cifar, "--format", "cifar10"] if cifar else ["--format", "synthetic"]
    records = ["--data", f"{cifar}/train.bin"] if cifar else []
    return [
        step(
            "step-cifar",
            "Training step, ResNet-18 CIFAR, width 64, batch 128, bank 10,000",
            1.2,
            width=64,
            **small,
        ),
        step(
            "step-cifar-16",
            "Training step, ResNet-18 CIFAR, width 16, batch 128, bank 10,000",
            1.3,
            width=16,
            **small,
        ),
        step(
            "step-resnet50",
            "Training step, ResNet-50, 224 px, batch 16, MLP head, bank 50,000",
            1.15,
            memory_goal=0.7,
            arch="resnet50",
            head="mlp",
            batch_size=16,
            image_size=224,
            bank=50000,
        ),
        step(
            "step-resnet18",
            "Training step, ResNet-18, 224 px, batch 32, bank 50,000",
            1.15,
            arch="resnet18",
            batch_size=32,
            image_size=224,
            bank=50000,
        ),
        ranks(16),
        ranks(64),
        Case(
            "infer-resnet50",
            "Inference, ResNet-50, 224 px, batch 32",
            ["bench", "infer", *infer],
            {form: ["peer_infer.py", "--mode", form, *infer] for form in ("script", "compile")},
            {"script": 1.1, "compile": 1.1},
        ),
        Case(
            "objective",
            f"One objective step: batch 128, d 128, n {BANK:,}, M 4096",
            ["bench", "search", *search],
            {
                form: ["peer_objective.py", "--form", form, *search]
                for form in ("published", "lean")
            },
            {"published": 4.0, "lean": 2.0},
            rate=None,
            data_bytes=BANK * 128 * 4,
        ),
        Case(
            "knn",
            f"Weighted kNN, K 200, bank {BANK:,}",
            ["bench", "knn", *knn],
            {form: ["peer_knn.py", "--library", form, *knn] for form in ("faiss", "torch")},
            {"faiss": 1.2, "torch": 1.2},
            rate="queries_per_second",
        ),
        Case(
            "loader",
            "JPEG of about 500x375 to augmented 224 px tensor, one core",
            [
                "bench",
                "loader",
                "--data",
                str(photos),
                "--augment",
                "imagenet",
                "--workers",
                "1",
                "--threads",
                "1",
            ],
            {"torchvision": ["peer_loader.py", "--data", str(photos), "--workers", "1"]},
            {"torchvision": 3.0},
            needs="photos",
        ),
        Case(
            "start-up",
            "From the command to the first training step, CIFAR, width 16",
            ["pretrain", *data, *train, "--augment", "cifar", "--stop-after", "1", "--epochs", "1"]
            + ["--out", "{folder}/run"],
            {"eager": ["peer_startup.py", *train, *records]},
            {"eager": 3.0},
            rate=None,
            clock="wall",
            notes=["ours is the wall time of the whole command, its last checkpoint included"],
        ),
        detect(
            "detect-step",
            "training step, one picture of 480 x 640, 512 of 2,000 proposals",
            "train",
            2.0,
            memory_goal=0.4,
        ),
        detect(
            "detect-infer",
            "detections of one picture of 800 x 1067, 1,000 proposals",
            "infer",
            1.7,
        ),
        judge(
            "judge-coco",
            "COCO's twelve figures",
            "coco",
            f"{drawn}/coco",
            "annotations/instances_val2017.json",
            "results.json",
            "pycocotools",
        ),
        judge(
            "judge-voc",
            "VOC at ten overlaps",
            "voc07",
            f"{drawn}/voc",
            "VOCdevkit",
            "results",
            "detectron2",
        ),
    ]
