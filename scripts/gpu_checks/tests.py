"""Tests on the GPU: the suites, PyTorch as a judge, compute-sanitizer, JPEGs."""

import pathlib
import re
import shutil

from gpu_checks.runner import ROOT, Failure, NotRun, TimedOut


class Tests:
    """Checks that compare results."""

    def tests(self, program, pattern, limit=120):
        text = self.run(
            program,
            [self.build / "bin" / program, f"--gtest_filter={pattern}", "--gtest_brief=1"],
            limit,
        )
        passed = re.search(r"\[  PASSED  \] (\d+) test", text)
        if passed is None or int(passed.group(1)) == 0:
            raise Failure(f"no test of {program} matches {pattern}")
        return f"{passed.group(1)} tests"

    def against_pytorch(self):
        python = self.torch_python()
        if python is None:
            raise NotRun("no Python here has PyTorch with CUDA and safetensors (--python)")
        text = self.run(
            "pytorch",
            [
                python,
                ROOT / "tests/acceptance/check_ops.py",
                "--invp",
                self.build / "bin/invp",
                "--device",
                "cuda",
                "--rounds",
                self.args.rounds,
            ],
            120,
        )
        return text.strip().splitlines()[-1]

    def decode(self):
        """nvJPEG's pixels against libjpeg's, then images/s beside the workers'."""
        invp = self.build / "bin/invp"
        doctor = self.run("decode", [invp, "doctor"], 60)
        if "nvJPEG" not in doctor and not self.args.emulated:
            raise NotRun("built without nvJPEG: scripts/dependencies fetches it")
        self.tests("test_data", "*DecodeOnDevice*cuda*")
        photos = self.results / "photos"
        shutil.rmtree(photos, ignore_errors=True)
        count, size = ("60", "64") if self.args.emulated else ("2048", "448")
        try:
            self.run(
                "decode",
                [
                    invp,
                    "data",
                    "synthesize",
                    photos,
                    "--train",
                    count,
                    "--val",
                    "2",
                    "--size",
                    size,
                ],
                60,
            )
            options = ["--data", photos, "--augment", "imagenet", "--batch-size", "256"]
            rates = {
                where: self.program("decode", "bench", "loader", *options, "--decode-on", where)
                for where in ("device", "workers")
            }
        finally:
            shutil.rmtree(photos, ignore_errors=True)
        self.figures["decode"] = rates
        return f"{size} px: " + ", ".join(
            f"{rate['images_per_second']:.0f} images/s by the {where}"
            for where, rate in rates.items()
        )

    def sanitizer(self, tool):
        found = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
        if self.args.emulated or not pathlib.Path(found).exists():
            raise NotRun("there is no compute-sanitizer")
        pattern = "*cuda*-*Large*"
        command = [found, "--tool", tool, "--error-exitcode", "99"]
        if tool == "memcheck":
            command += ["--report-api-errors", "no"]  # libraries try things; ours are checked
        command += [self.build / "bin/test_engine", f"--gtest_filter={pattern}"]
        command += ["--gtest_shuffle", "--gtest_random_seed=1"]  # some of everything, if not all
        log = self.results / f"{tool}.log"
        begin = log.stat().st_size if log.exists() else 0
        try:
            self.run(tool, command, 150)
        except TimedOut:
            # Many times slower than without: as many tests as there is time for.
            text = log.read_bytes()[begin:].decode(errors="replace")
            if re.search(r"^=+ (?!COMPUTE-SANITIZER)\S", text, re.MULTILINE):
                raise
            return f"no time for all: nothing found in {text.count('[       OK ]')} tests"
        text = log.read_bytes()[begin:].decode(errors="replace")
        summary = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: .*", text)
        return f"{summary[-1] if summary else ''}, {text.count('[       OK ]')} tests"
