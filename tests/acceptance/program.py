"""Running `invp` from the acceptance checks, and keeping their score."""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def parser(description):
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--invp", default=str(ROOT / "build/bin/invp"))
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--device", default="auto", help="as invp takes it")
    return result


def run(invp, *arguments):
    """Runs one command; returns the JSON object of its last line, if it printed one."""
    done = subprocess.run([invp, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise RuntimeError(
            f"{' '.join(map(str, arguments[:2]))} ended with {done.returncode}: {last}"
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {}


class Score:
    """Counts checks; the process ends with 1 if one failed or none was made."""

    def __init__(self):
        self.passed, self.failed, self.worst = 0, [], {}

    def check(self, name, error, tolerance, detail=""):
        """`error` above `tolerance`, or not a number, is a failure."""
        group = name.split()[0]
        self.worst[group] = max(self.worst.get(group, 0.0), error / tolerance)
        if error <= tolerance:
            self.passed += 1
        else:
            self.fail(f"{name}: {error:.3g}, allowed {tolerance:.3g} {detail}")

    def fail(self, text):
        self.failed.append(text)
        print("FAILED", text, flush=True)

    def finish(self):
        for group, share in sorted(self.worst.items()):
            print(f"{group:24} largest error {100 * share:6.1f} % of what is allowed")
        print(f"{self.passed} passed, {len(self.failed)} failed")
        sys.exit(1 if self.failed or not self.passed else 0)
