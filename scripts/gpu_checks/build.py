"""What the machine has, and the build for it."""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys

from gpu_checks.runner import ROOT, Failure


class Build:
    """Finds GPU, toolkit, cuDNN and Python, and builds the `cuda` preset."""

    def machine(self):
        if self.args.emulated:
            return "emulated GPU: the script is tried out, not the GPU"
        if not shutil.which("nvidia-smi"):
            raise Failure("nvidia-smi is missing: is there a driver?")
        gpu = (
            self.run(
                "machine",
                [
                    "nvidia-smi",
                    "--query-gpu=name,memory.total,driver_version,clocks.sm",
                    "--format=csv,noheader",
                ],
                30,
            )
            .strip()
            .splitlines()[0]
        )
        compiler = self.run("machine", [self.nvcc(), "--version"], 30)
        return f"{gpu}; nvcc {re.search(r'release ([0-9.]+)', compiler).group(1)}; commit {self.commit()}"

    @staticmethod
    def nvcc():
        found = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
        if not pathlib.Path(found).exists():
            raise Failure("nvcc is missing: install the CUDA toolkit, or put it on PATH")
        return found

    def dependencies(self):
        """The folder that scripts/gpu-bundle made, and CMake's options for it."""
        for place in (ROOT.parent / "dependencies", ROOT / "build/gpu-bundle/dependencies"):
            if place.is_dir():
                return place, [
                    f"-DCMAKE_PREFIX_PATH={place};{place}/onednn;{place}/nvjpeg",
                    f"-Ddnnl_DIR={place}/onednn/lib/cmake/dnnl",
                    f"-DCUDNN_FRONTEND_INCLUDE_DIR={place}/cudnn-frontend/include",
                ]
        return None, []

    def cudnn(self, place):
        """CMake's options for cuDNN of a Python package, by links with the names a linker looks for."""
        folders = [pathlib.Path(p) / "nvidia/cudnn" for p in self.python_paths()]
        package = next((f for f in folders if (f / "lib/libcudnn.so.9").exists()), None)
        if package is None:
            return []
        links = self.build / "cudnn/lib"
        links.mkdir(parents=True, exist_ok=True)
        for library in (package / "lib").glob("libcudnn*.so.9"):
            for name in (library.name, library.name.removesuffix(".9")):
                link = links / name
                link.unlink(missing_ok=True)
                link.symlink_to(library)
        headers = package / "include"
        if not (headers / "cudnn.h").exists() and place:
            headers = place / "cudnn/include"
        paths = [str(package / "lib"), self.environment.get("LD_LIBRARY_PATH", "")]
        self.environment["LD_LIBRARY_PATH"] = ":".join(filter(None, paths))
        return [f"-DCUDNN_INCLUDE_DIR={headers}", f"-DCUDNN_LIBRARY={links / 'libcudnn.so'}"]

    def python_paths(self):
        """Where each Python found here has its packages, the one with PyTorch first."""
        code = "import site, sys; print('\\n'.join(sys.path + site.getsitepackages()))"
        found = []
        for python in dict.fromkeys(filter(None, [self.torch_python(), *self.pythons()])):
            done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=30)
            found += [line for line in done.stdout.splitlines() if line]
        return found

    def pythons(self):
        names = [self.args.python] if self.args.python else [sys.executable, "python3", "python"]
        return dict.fromkeys(filter(None, map(shutil.which, names)))

    @functools.cache
    def torch_python(self):
        """A Python whose PyTorch can use the GPU (when emulated: any PyTorch), or None."""
        code = "import torch, safetensors.torch; assert torch.cuda.is_available() or "
        for python in self.pythons():
            try:
                command = [python, "-c", code + str(self.args.emulated)]
                if subprocess.run(command, capture_output=True, timeout=90).returncode == 0:
                    return python
            except (OSError, subprocess.TimeoutExpired):
                pass
        return None

    def compile(self):
        if self.args.emulated:
            return "the build that was given"
        place, options = self.dependencies()
        options += self.cudnn(place)
        architecture = self.run(
            "build", ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"], 30
        )
        number = architecture.split()[0].replace(".", "")
        if not shutil.which("ninja"):
            options += ["-G", "Unix Makefiles"]
        targets = ["invp", "test_engine", "test_layers", "test_data", "test_invp", "test_ranks"]
        self.run(
            "build",
            [
                "cmake",
                "--preset",
                "cuda",
                "-B",
                self.build,
                f"-DCMAKE_CUDA_COMPILER={self.nvcc()}",
                f"-DCMAKE_CUDA_ARCHITECTURES={number}-real",
                *options,
            ],
            60,
        )
        # What compiles is checked, even if something else does not.
        self.run(
            "build",
            ["cmake", "--build", self.build, "--parallel", os.cpu_count(), "--target", *targets]
            + ["--", "-k", *(["0"] if shutil.which("ninja") else [])],
            300,
        )
        return f"for sm_{number}"

    def doctor(self):
        text = self.run("doctor", [self.build / "bin/invp", "doctor"], 60)
        rows = [line.split() for line in text.splitlines() if re.match(r" *GPU", line)]
        return " ".join(rows[0]) if rows else "see doctor.log"
