"""Facts of the machine and the programs that a result page begins with."""

import datetime
import json
import os
import pathlib
import platform
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def machine(invp, python):
    """What a result page says of where it was measured."""

    def output(*command):
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        return done.stdout.strip()

    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    model = next(
        (x.split(":", 1)[1].strip() for x in cpuinfo.splitlines() if x.startswith("model name")),
        platform.machine(),
    )
    probe = (
        "import torch, torchvision, re, importlib.util as u; c = torch.__config__.show();"
        "faiss = __import__('faiss').__version__ if u.find_spec('faiss') else 'none';"
        "print(torch.__version__, torchvision.__version__, faiss,"
        "re.search(r'MKL-DNN v(\\S+)', c).group(1))"
    )
    torch, torchvision, faiss, onednn = output(python, "-c", probe).split()
    doctor = output(invp, "doctor", "--json").splitlines()
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "commit": output("git", "rev-parse", "--short", "HEAD")
        + ("+changes" if output("git", "status", "--porcelain", "-uno") else ""),
        "compiler": output("c++", "--version").split("\n")[0],
        "torch": torch,
        "torchvision": torchvision,
        "faiss": faiss,
        "onednn_of_torch": onednn,
        "invp": json.loads(doctor[-1]) if doctor else {},
    }


def facts(about):
    """A line a fact, for the head of a page."""
    return [f"- {key.replace('_', ' ')}: {value}" for key, value in about.items() if key != "invp"]


def machine_name(about):
    words = about["cpu"].lower().replace("(r)", "").split()[:3]
    return f"{about['cores']}-core-{'-'.join(words)}"
