"""Runs checks one after the other, each with a time limit, and keeps what came of them."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSED, FAILED, NOT_RUN = "passed", "FAILED", "not run"


class Failure(Exception):
    """What a check found wrong, in one line."""


class NotRun(Exception):
    """Why a check cannot be made here."""


class TimedOut(Failure):
    """A Failure: there was no time left."""


class Stopped(BaseException):
    """A signal stopped the script."""


def kill(process):
    """Ends a process and all that it started. One that is stuck in the driver is left alone."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        pass


class Runner:
    """Commands, checks and their results."""

    def __init__(self, args):
        self.args = args
        self.start = time.monotonic()
        self.build = pathlib.Path(args.build).resolve()
        self.results = pathlib.Path(args.results).resolve()
        self.results.mkdir(parents=True, exist_ok=True)
        self.rows = []
        self.environment = dict(os.environ)
        self.environment["INVP_PLAN_CACHE"] = str(self.results / "plans.json")
        self.figures = {}

    def left(self):
        return self.args.minutes * 60 - (time.monotonic() - self.start)

    def run(self, name, command, limit, **more):
        """Runs one command into NAME.log; returns its output. Raises Failure with its last line."""
        limit = min(limit, self.left())
        if limit < 5:
            raise NotRun("no time left")
        log = self.results / f"{name}.log"
        with open(log, "ab") as out:
            out.write(("$ " + " ".join(map(str, command)) + "\n").encode())
            out.flush()
            begin = out.tell()
            process = subprocess.Popen(
                list(map(str, command)),
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=self.environment,
                start_new_session=True,
                **more,
            )
            try:
                status = process.wait(timeout=limit)
            except subprocess.TimeoutExpired:
                raise TimedOut(f"still running after {limit:.0f} s: see {log.name}") from None
            finally:
                kill(process)
        text = log.read_bytes()[begin:].decode(errors="replace")
        if status != 0:
            lines = [line for line in text.splitlines() if line.strip()] or ["no output"]
            telling = [line for line in lines if re.search(r"error|FAILED|rror:", line)]
            raise Failure(f"ended with {status}: {(telling or lines[-1:])[0].strip()[:160]}")
        return text

    def program(self, name, *arguments, limit=120):
        """One run of invp on the GPU; returns the JSON object it ended with."""
        text = self.run(
            name, [self.build / "bin/invp", *arguments, "--device", "cuda", "--json"], limit
        )
        objects = [line for line in text.splitlines() if line.startswith("{")]
        return json.loads(objects[-1]) if objects else {}

    def check(self, name, what, body):
        if self.args.only and name not in self.args.only.split(","):
            return
        begin = time.monotonic()
        print(f"{name:24}", end="", flush=True)
        try:
            result, detail = PASSED, body() or ""
        except NotRun as reason:
            result, detail = NOT_RUN, str(reason)
        except Failure as failure:
            result, detail = FAILED, str(failure)
        except Stopped as signal_name:
            self.row(name, what, FAILED, begin, f"stopped by {signal_name}")
            raise
        except Exception as error:  # a fault of this script costs one check only
            result, detail = FAILED, f"{type(error).__name__}: {error}"
        self.row(name, what, result, begin, detail)

    def row(self, name, what, result, begin, detail):
        seconds = time.monotonic() - begin
        print(f"{result:8} {seconds:6.1f} s  {detail}", flush=True)
        self.rows.append(
            {
                "check": name,
                "what": what,
                "result": result,
                "seconds": round(seconds, 1),
                "detail": detail,
            }
        )
        self.write()

    def write(self):
        (self.results / "results.json").write_text(
            json.dumps(
                {"commit": self.commit(), "checks": self.rows, "figures": self.figures}, indent=1
            )
            + "\n"
        )

    def commit(self):
        given = os.environ.get("INVP_COMMIT")
        bundled = ROOT.parent / "commit"  # scripts/gpu-bundle wrote it
        if given or bundled.is_file():
            return given or bundled.read_text().strip()
        try:
            found = subprocess.run(
                ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
            )
        except OSError:
            return "unknown"
        return found.stdout.strip() or "unknown"
