"""All checks in their order, with their sizes."""


def check_all(checker, args):
    if args.emulated:
        shape = "--arch resnet18-cifar --width 8 --image-size 16 --batch-size 4 --repeats 2"
        step = f"{shape} --bank 500"
        bank = "--bank 2000 --batch-size 8 --background 256 --repeats 2"
        voters = "--bank 2000 --queries 50 --k 20 --repeats 2"
        kernels = "--batch-size 1 --repeats 2"
    else:
        shape = "--arch resnet50 --head mlp --image-size 224 --batch-size 128 --precision bf16"
        shape += " --repeats 20"
        step = f"{shape} --bank 1281167"
        bank = "--bank 1281167 --repeats 20"
        voters = "--bank 1281167 --queries 2000 --k 200"
        kernels = "--batch-size 128"

    def bench(name, what, options):
        checker.check(f"bench-{name}", what, lambda: checker.bench(name, name, *options.split()))

    def tests(name, what, program, pattern):
        checker.check(name, what, lambda: checker.tests(program, pattern))

    checker.check("machine", "GPU, driver, toolkit", checker.machine)
    checker.check("build", "the cuda preset", checker.compile)
    checker.check("doctor", "invp doctor", checker.doctor)
    tests(
        "operations",
        "every operation forward and backward against naive loops in double precision",
        "test_engine",
        "*cuda*",
    )
    tests(
        "training",
        "steps of each network against the CPU; the same seed twice",
        "test_invp",
        "*Training*:*TrainerTest*cuda*",
    )
    tests(
        "objective",
        "bank, graph, losses, gradient, kNN and short runs against the CPU",
        "test_invp",
        "*cuda*-*TrainerTest*",
    )
    tests("modules", "layers moved to the GPU against the CPU", "test_layers", "*cuda*")
    bench("step", "InvP step, ResNet-50, 224 px, batch 128, 1.28 million rows, bf16", step)
    bench("search", "objective, 1.28 million rows, batch 128", bank)
    bench("infer", "ResNet-50 inference, 224 px, batch 128, bf16", shape)
    bench("knn", "kNN, 1.28 million rows", voters)
    bench("kernels", "memory-bound kernels against copying", kernels)
    checker.check("decode", "JPEGs decoded by nvJPEG: pixels and images/s", checker.decode)
    checker.check(
        "determinism", "two runs with --deterministic end in the same file", checker.determinism
    )
    checker.check("resume", "a run killed and resumed ends in the same file", checker.resume)
    tests(
        "nccl",
        "NCCL: sums and gathers of one GPU in a captured graph, ended during a replay",
        "test_ranks",
        "NcclOneGpu.*",
    )
    checker.check(
        "several", "two GPUs end in the file of one with the same groups", checker.several_gpus
    )
    checker.check(
        "pytorch", "operations against PyTorch in double precision", checker.against_pytorch
    )
    if not args.emulated:
        checker.check("plans", "the second start finds the plans of the first", checker.plan_cache)
    checker.check("peer", "PyTorch's step and search, taking turns with ours", checker.peer)
    checker.check("profile", "every kernel of a ResNet-50 step against its limits", checker.profile)
    for tool in ("memcheck", "racecheck"):
        checker.check(
            tool,
            f"compute-sanitizer {tool} over the operations' tests",
            lambda tool=tool: checker.sanitizer(tool),
        )
