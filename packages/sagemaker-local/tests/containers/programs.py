"""What the image of the tests runs as `serve` and `train`."""

SERVE = """
import http.server, json, os, pathlib, signal, sys, time

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
mode = os.environ.get("MODE", "")
print("serving as", mode or "usual", flush=True)
if mode == "broken":
    print("cannot read the model", file=sys.stderr, flush=True)
    sys.exit(3)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        attributes = self.headers.get("X-Amzn-SageMaker-Custom-Attributes")
        if attributes:
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", attributes.upper())
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(500 if mode == "sick" else 200, b"", "text/plain")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"refuse":
            return self.answer(418, b"I am a teapot", "text/plain")
        if body == b"crash":
            print("crashing", flush=True)
            os._exit(7)
        if body == b"slow":
            time.sleep(0.5)
        model = pathlib.Path("/opt/ml/model/name.txt")
        told = {
            "model": model.read_text() if model.exists() else None,
            "body": body.decode(),
            "content_type": self.headers["Content-Type"],
            "accept": self.headers["Accept"],
            "variable": os.environ.get("VARIABLE"),
            "pid": os.getpid(),
        }
        self.answer(200, json.dumps(told).encode() + b"\\n")

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""

TRAIN = """
import signal, sys

# Before all else: the first process of a container hears no signal that it has not asked for.
def stop(*_):
    with open("/opt/ml/model/name.txt", "w") as file:
        file.write("stopped early")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)

import json, os, pathlib, time

root = pathlib.Path("/opt/ml")
config = {p.stem: json.loads(p.read_text()) for p in (root / "input/config").glob("*.json")}
mode = config["hyperparameters"].get("mode", "")
print("training", os.environ["TRAINING_JOB_NAME"], flush=True)
if mode == "fail":
    (root / "output/failure").write_text("the data are not to my taste" + "!" * 2000)
    (root / "output/data/why.txt").write_text("because")
    sys.exit(1)
if mode == "crash":
    print("about to crash", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)
    sys.exit(9)
if mode == "wait":
    print("waiting", flush=True)
    while True:
        time.sleep(0.1)

data = root / "input/data"
if mode == "pipe":
    files = {}
    for epoch in range(2):
        files[f"train_{epoch}"] = (data / f"train_{epoch}").read_text()
else:
    files = {str(p.relative_to(data)): p.read_text() for p in data.rglob("*") if p.is_file()}
print("loss=0.5;", flush=True)
print("loss=0.25;", flush=True)
told = {
    "files": files,
    "config": config,
    "arn": os.environ["TRAINING_JOB_ARN"],
    "variable": os.environ.get("VARIABLE"),
    "arguments": sys.argv[1:],
    "host": os.uname().nodename,
}
(root / "model/name.txt").write_text("trained")
(root / "model/deep").mkdir()
(root / "model/deep/told.json").write_text(json.dumps(told))
(root / "output/data/extra.txt").write_text("more")
"""
