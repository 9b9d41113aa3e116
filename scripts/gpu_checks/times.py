"""Times: of our own work, kernel by kernel, and beside PyTorch."""

import json
import pathlib
import shutil

from gpu_checks.runner import ROOT, Failure, NotRun


class Times:
    """Checks that measure."""

    def bench(self, name, *arguments):
        results = self.program("bench", "bench", *arguments, limit=90)
        self.figures[name] = results
        parts = [f"{results['ms']:.3g} ms ({results['ms_min']:.3g} to {results['ms_max']:.3g})"]
        if "images_per_second" in results:
            parts.append(f"{results['images_per_second']:.0f} images/s")
        if "queries_per_second" in results:
            parts.append(f"{results['queries_per_second']:.0f} queries/s")
        if "share_of_copy" in results:
            parts.append(f"slowest kernel at {100 * results['share_of_copy']:.0f} % of copying")
        return ", ".join(parts)

    def profile(self):
        """Which kernels the step spends its time in. Comes after bench-step, which has chosen
        cuDNN's plans."""
        if self.args.emulated or not (
            shutil.which("ncu") or pathlib.Path("/usr/local/cuda/bin/ncu").exists()
        ):
            raise NotRun("there is no ncu")
        command = [ROOT / "scripts/gpu-profile", "--invp", self.build / "bin/invp"]
        output = self.run("profile", [*command, "--out", self.results / "profile.csv"], 120)
        return output.strip().splitlines()[-2]

    def peer(self):
        """Beside PyTorch, with the forms that it prepares within seconds. All of
        benchmarks/peer_gpu/compare takes half an hour."""
        python = self.torch_python()
        if python is None:
            raise NotRun("no Python here has PyTorch with CUDA (--python)")
        begin = self.left()
        out = self.results / "peer-gpu.json"
        out.unlink(missing_ok=True)
        seconds = min(120, begin - 10)
        size = (
            ["--device", "cpu", "--tiny", "--rounds", "1", "--rows", "search128"]
            if self.args.emulated
            else ["--modes", "graph", "--rounds", "3", "--rows", "search128", "step256"]
        )
        command = [python, ROOT / "benchmarks/peer_gpu/compare", "--python", python]
        command += ["--invp", self.build / "bin/invp", "--seconds", f"{seconds:.0f}", *size]
        try:
            self.run("peer", [*command, "--prepare", "60", "--out", out], seconds + 15)
        finally:
            if out.exists():
                self.figures["peer"] = json.loads(out.read_text())
        rows = self.figures["peer"]["rows"]
        ratios = [f"{name} x {row['ratio']:.2f}" for name, row in rows.items() if "ratio" in row]
        if not ratios:
            raise Failure("PyTorch gave no figure: see peer-gpu.json")
        return "ours over PyTorch: " + ", ".join(ratios)
