"""What every peer script shares: the tuned environment, timing, memory, one JSON line.

Each script runs one case in one process, so that peak memory belongs to that case alone.
"""

import json
import os
import resource
import statistics
import sys
import time

# glibc hands the pages of big tensors back to the kernel on every free; faulting them in again
# costs memory-bound layers 1.5 to 3 times their time. The price is resident memory: --plain-malloc
# shows the other end of that bargain.
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "1000000000000",
    "MALLOC_TOP_PAD_": "268435456",
}


def blas_kernels():
    """FAISS's wheel has an OpenBLAS that takes kernels of 2004 on any CPU younger than itself."""
    flags = open("/proc/cpuinfo").read().split("flags", 1)[-1].split("\n", 1)[0].split()
    core = "SkylakeX" if "avx512f" in flags else "Haswell" if "avx2" in flags else None
    return {"OPENBLAS_CORETYPE": core} if core else {}


def tune_environment(threads=None):
    """Restarts the process once with the settings that only act at its start.

    Call before torch is imported. `--plain-malloc` and `--threads N` are read here because they are
    among those settings.
    """
    if os.environ.get("PEER_TUNED") == "1":
        return
    environment = dict(blas_kernels(), **os.environ, PEER_TUNED="1")
    if "--threads" in sys.argv:
        threads = int(sys.argv[sys.argv.index("--threads") + 1])
    count = str(threads or len(os.sched_getaffinity(0)))
    environment.update(OMP_NUM_THREADS=count, MKL_NUM_THREADS=count)
    if "--plain-malloc" not in sys.argv:
        environment.update(KEEP_MEMORY)
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def add_common_arguments(parser, repeats=7, seed=True):
    parser.add_argument("--threads", type=int, help="default: every core this process may use")
    parser.add_argument("--plain-malloc", action="store_true", help="keep glibc's defaults")
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--warm-up", type=int, default=2)
    if seed:
        parser.add_argument("--seed", type=int, default=0)


def measure(work, repeats, warm_up):
    """Milliseconds of each of `repeats` calls, after `warm_up` calls that do not count."""
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def peak_memory_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def report(times, items=None, rate="images_per_second", **more):
    """Prints the result line, with the names of `invp bench --json`; `more` may override one."""
    median = statistics.median(times)
    result = {"ms": median, "ms_min": min(times), "ms_max": max(times)}
    if items is not None:
        result[rate] = 1e3 * items / median
    result["peak_memory_bytes"] = peak_memory_bytes()
    print(json.dumps(result | more), flush=True)
