"""Short trainings: the same seed twice, killed and resumed, started twice."""

import json
import pathlib
import shutil
import subprocess
import time

from gpu_checks.runner import ROOT, Failure, NotRun, TimedOut, kill


class Runs:
    """Checks that train."""

    def training(self, out, *options):
        size = (
            [
                "--arch",
                "resnet18-cifar",
                "--width",
                "8",
                "--image-size",
                "16",
                "--batch-size",
                "8",
                "--background",
                "32",
                "--synthetic-train",
                "48",
                "--synthetic-val",
                "16",
            ]
            if self.args.emulated
            else ["--synthetic-train", "2000", "--synthetic-val", "200"]
        )
        return [
            "pretrain",
            "--preset",
            "quickstart",
            "--epochs",
            "3",
            "--seed",
            "7",
            "--deterministic",
            "--out",
            self.results / out,
            *size,
            *options,
        ]

    def weights(self, out):
        file = self.results / out / "checkpoints/last.safetensors"
        if not file.exists():
            raise Failure(f"{out} left no checkpoint")
        return file.read_bytes()

    def same(self, a, b):
        if self.weights(a) != self.weights(b):
            raise Failure(f"{a} and {b} ended in different checkpoints")

    def determinism(self):
        for out in ("once", "again"):
            shutil.rmtree(self.results / out, ignore_errors=True)
            losses = self.program("determinism", *self.training(out), limit=90)
        self.same("once", "again")
        return f"two runs, the same file; loss {losses.get('loss', float('nan')):.4f}"

    def resume(self):
        """Killed without warning in the middle of the second epoch, then resumed."""
        out = self.results / "killed"
        shutil.rmtree(out, ignore_errors=True)
        self.weights("once")
        command = [self.build / "bin/invp", *self.training("killed"), "--device", "cuda"]
        with open(self.results / "resume.log", "ab") as log:
            process = subprocess.Popen(
                list(map(str, command)),
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=self.environment,
                start_new_session=True,
            )
            end = time.monotonic() + min(120, self.left())
            checkpoint = out / "checkpoints/last.safetensors"
            try:
                while not checkpoint.exists() and process.poll() is None:
                    if time.monotonic() > end:
                        raise TimedOut("no checkpoint of the first epoch: see resume.log")
                    time.sleep(0.005)
                time.sleep(0.03)
                finished = process.poll()
            finally:
                kill(process)
        if finished is not None and finished != 0:
            raise Failure(f"ended with {finished} before it was killed: see resume.log")
        if finished == 0:
            raise NotRun("the run was over before it could be killed")
        self.program("resume", *self.training("killed", "--resume", "auto"), limit=90)
        self.same("once", "killed")
        return "killed after its first epoch and resumed: the same file as without"

    def several_gpus(self):
        """Two ranks, one GPU each, beside one rank with as many groups of batch norm."""
        if self.args.emulated:
            self.environment["INVP_EMULATED_GPUS"] = "2"
        try:
            doctor = json.loads(
                self.run("several", [self.build / "bin/invp", "doctor", "--json"], 60).splitlines()[-1]
            )
            if "gpu_peers" not in doctor["ranks"]:
                raise NotRun("there is one GPU here")
            if doctor["ranks"]["nccl"].startswith("none"):
                raise NotRun("built without NCCL: scripts/dependencies fetches it")
            for ranks in ("1", "2"):
                shutil.rmtree(self.results / f"on-{ranks}", ignore_errors=True)
                groups = ["--bn-groups", "2", "--ranks", ranks, "--threads", "1"]
                self.program("several", *self.training(f"on-{ranks}", *groups), limit=120)
            self.same("on-1", "on-2")
        finally:
            self.environment.pop("INVP_EMULATED_GPUS", None)
            for ranks in ("1", "2"):
                shutil.rmtree(self.results / f"on-{ranks}", ignore_errors=True)
        return f"the same file; {doctor['ranks']['gpu_peers']}"

    def plan_cache(self):
        plans = pathlib.Path(self.environment["INVP_PLAN_CACHE"])
        plans.unlink(missing_ok=True)
        seconds = []
        for _ in range(2):
            begin = time.monotonic()
            self.program(
                "plans",
                "bench",
                "step",
                *"--arch resnet50 --image-size 224 --batch-size 32 --precision bf16".split(),
                *"--bank 20000 --repeats 3".split(),
                limit=90,
            )
            seconds.append(time.monotonic() - begin)
        if not plans.exists():
            raise (
                NotRun("no plan was recorded (no cuDNN here)")
                if self.args.emulated
                else Failure("no plan was recorded")
            )
        return f"first start {seconds[0]:.1f} s, second {seconds[1]:.1f} s"
