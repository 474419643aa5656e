"""A training process that does as its hyperparameters say: python fake_trainer.py JOBDIR."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path


def say(event, **fields):
    print(json.dumps({"event": event} | fields), flush=True)


def main() -> int:
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    parameters = job["request"].get("HyperParameters", {})
    artifacts = job["request"]["ModelArtifacts"]["S3ModelArtifacts"]
    mode = parameters.get("mode", "train")

    def watch_stdin():
        sys.stdin.read()
        os._exit(70)

    threading.Thread(target=watch_stdin, daemon=True).start()
    stop = threading.Event()
    if mode != "stubborn":
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    say("status", status="Downloading", message="Downloading input data")
    say("status", status="Training", message="Training in progress")
    (folder / "data").mkdir()
    (folder / "data" / "large").write_bytes(b"x" * 1000)
    if mode == "lines":
        for number in range(int(parameters["lines"])):
            print(json.dumps({"event": "log", "host": "algo-1", "line": f"line {number}"}))
        sys.stdout.flush()
    if mode == "print":
        print("not JSON at all", flush=True)
    if mode == "fail":
        say("failed", reason="ClientError: the data are wrong. " + "x" * 2000)
        return 1
    if mode == "litter":
        # A child that holds stdout open long after.
        say("log", host="algo-1", line=str(subprocess.Popen(["sleep", "300"]).pid))
    if mode == "crash":
        raise RuntimeError("the trainer has a fault")
    if mode == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "silent":
        return 0
    if mode in ("wait", "stubborn"):
        if mode == "wait":
            say("log", host="algo-1", line="waiting")
            stop.wait(100)
        else:
            time.sleep(100)
    say("metric", name="train:msd", value=0.5)
    say("metric", name="train:msd", value=0.25)
    say("metric", name="train:nan", value=float("nan"))
    say("status", status="Uploading")
    say("done", artifacts=artifacts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
