"""The training process as the service sees it: events, artefact, stop, end of the service.

Over 400 lines: one process in all that the service may ask of it.
"""

import contextlib
import gzip
import json
import re
import signal
import socket
import threading
from urllib.parse import urlsplit

import numpy as np
import pytest

from training_jobs import Workshop, channel, csv_bytes, recordio_bytes

FEATURES = 6
MIDDLES = np.random.default_rng(1).normal(size=(5, FEATURES)) * 20
HYPERPARAMETERS = {"k": 5, "feature_dim": FEATURES, "init_method": "kmeans++"}


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    return (MIDDLES[rng.integers(0, 5, count)] + rng.normal(size=(count, FEATURES))).astype("f4")


def msd_of(model, data):
    return float((model.predict(data)[1].astype(np.float64) ** 2).mean())


@pytest.fixture(scope="module")
def workshop(local_s3, tmp_path_factory):
    workshop = Workshop(local_s3, tmp_path_factory.mktemp("jobs"))
    yield workshop
    workshop.close()


def close_to_middles(model):
    """Whether each blob has its own centre, near its middle."""
    apart = np.linalg.norm(model.centres[:, None] - MIDDLES[None], axis=2)
    return len(set(apart.argmin(axis=0))) == 5 and apart.min(axis=0).max() < 1


def test_a_job_tells_its_life_and_leaves_a_true_model(workshop):
    train, test = rows(3000), rows(500, seed=1)
    workshop.put("life/train/a", recordio_bytes(train[:1000], np.ones(1000, np.float32)))
    workshop.put("life/train/b", recordio_bytes(train[1000:], np.ones(2000, np.float32)))
    workshop.put("life/test/a", recordio_bytes(test))
    channels = [
        channel("train", workshop.uri("life/train/")),
        channel("test", workshop.uri("life/test/")),
    ]
    outcome = workshop.train(
        channels, HYPERPARAMETERS | {"eval_metrics": '["msd", "ssd"]'}, name="life"
    )

    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stderr == ""
    assert outcome.statuses == ["Downloading", "Training", "Uploading"]
    assert outcome.events[-1] == {
        "event": "done",
        "artifacts": workshop.uri("models/life/output/model.tar.gz"),
    }
    model = workshop.model("life")
    assert model.centres.shape == (5, FEATURES)
    assert close_to_middles(model)

    expected = {"train": msd_of(model, train), "test": msd_of(model, test)}
    assert outcome.metrics == pytest.approx(
        {
            "train:msd": expected["train"],
            "train:ssd": expected["train"] * 3000,
            "test:msd": expected["test"],
            "test:ssd": expected["test"] * 500,
        },
        rel=1e-4,
    )
    # The forms that people's metric definitions look for.
    head = r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] "
    text = "\n".join(outcome.lines)
    for name, value in outcome.metrics.items():
        channel_name, metric = name.split(":")
        found = re.search(
            head + rf"#quality_metric: host=\S+, {channel_name} {metric} <loss>=(\S+)$", text, re.M
        )
        assert found is not None
        assert float(found[1]) == value
    progress = head + "#progress_metric: host=algo-1, completed 100 % of epochs$"
    throughput = (
        head + r"#throughput_metric: host=algo-1, train throughput=[\d.e+]+ records/second$"
    )
    assert re.search(progress, text, re.M)
    assert re.search(throughput, text, re.M)
    assert {e["host"] for e in outcome.of("log")} == {"algo-1"}

    assert sorted(path.name for path in outcome.folder.iterdir()) == ["job.json", "stderr.txt"]


def test_the_same_data_give_the_same_bytes_in_every_mode_and_format(workshop):
    data = rows(2000)
    workshop.put("same/recordio", recordio_bytes(data))
    workshop.put("same/csv", csv_bytes(data))
    workshop.put("same/zipped", gzip.compress(csv_bytes(data)))
    jobs = [
        ("recordio", "File", {}),
        ("recordio", "Pipe", {"ContentType": "application/x-recordio-protobuf"}),
        ("recordio", "File", {"InputMode": "FastFile"}),
    ]
    artefacts = []
    for number, (key, mode, more) in enumerate(jobs):
        described = channel("train", workshop.uri(f"same/{key}"), **more)
        outcome = workshop.train(
            [described], HYPERPARAMETERS | {"epochs": 2}, mode=mode, name=f"same-{number}"
        )
        assert outcome.exit_code == 0, outcome.reason
        streams = mode == "Pipe" or more.get("InputMode") == "FastFile"
        assert ("Downloading" in outcome.statuses) is not streams
        artefacts.append(workshop.artefact(f"same-{number}"))
    assert len(set(artefacts)) == 1

    # CSV comes in batches of other sizes and as doubles: the same clusters, not the same bytes.
    expected = workshop.model("same-0")
    for key, more in (("csv", {}), ("zipped", {"CompressionType": "Gzip"})):
        described = channel(
            "train", workshop.uri(f"same/{key}"), ContentType="text/csv;label_size=0", **more
        )
        for mode in ("File", "Pipe"):
            outcome = workshop.train([described], HYPERPARAMETERS, mode=mode, name=f"{key}-{mode}")
            assert outcome.exit_code == 0, outcome.reason
            model = workshop.model(f"{key}-{mode}")
            assert msd_of(model, data) == pytest.approx(msd_of(expected, data), rel=0.02)


@pytest.mark.parametrize("distribution", ["ShardedByS3Key", "FullyReplicated"])
def test_several_instances_share_the_data_and_merge(workshop, distribution):
    data = rows(3000, seed=2)
    prefix = f"several-{distribution}"
    manifest = [{"prefix": workshop.uri(f"{prefix}/")}]
    for number in range(5):
        part = data[number * 600 : (number + 1) * 600]
        workshop.put(f"{prefix}/part-{number}", recordio_bytes(part))
        manifest.append(f"part-{number}")
    uri = workshop.put(f"{prefix}/.amazon.manifest", json.dumps(manifest).encode())
    described = channel(
        "train", uri, S3DataType="ManifestFile", S3DataDistributionType=distribution
    )
    outcome = workshop.train(
        [described, channel("test", workshop.uri(f"{prefix}/part-1"))],
        HYPERPARAMETERS,
        instances=3,
        name=prefix,
    )
    assert outcome.exit_code == 0, outcome.reason
    model = workshop.model(prefix)
    assert close_to_middles(model)
    assert outcome.metrics["train:msd"] == pytest.approx(msd_of(model, data), rel=1e-4)
    assert outcome.metrics["test:msd"] == pytest.approx(msd_of(model, data[600:1200]), rel=1e-4)

    hosts = ["algo-1", "algo-2", "algo-3"]
    seen = {}
    for host in hosts:
        lines = [e["line"] for e in outcome.of("log") if e["host"] == host]
        text = "\n".join(lines)
        seen[host] = int(re.search(r"processed a total of (\d+) examples", text)[1])
        for metric in ("quality", "progress", "throughput"):
            assert f"#{metric}_metric: host={host}, " in text
    if distribution == "ShardedByS3Key":
        assert seen == {"algo-1": 1200, "algo-2": 1200, "algo-3": 600}
    else:
        assert set(seen.values()) == {3000}


def test_more_instances_than_objects(workshop):
    workshop.put("lonely/a", recordio_bytes(rows(500)))
    described = channel("train", workshop.uri("lonely/"), S3DataDistributionType="ShardedByS3Key")
    outcome = workshop.train([described], HYPERPARAMETERS, instances=2, name="lonely")
    assert outcome.exit_code == 0, outcome.reason
    text = "\n".join(outcome.lines)
    assert "no rows for this host" in text
    assert re.findall(r"#(\w+)_metric: host=algo-2", text) == []
    assert close_to_middles(workshop.model("lonely"))


@pytest.mark.parametrize(
    "more",
    [
        {"extra_center_factor": 1},
        {"extra_center_factor": 3, "local_lloyd_num_trials": 2},
        {"init_method": "random"},
        {"mini_batch_size": 16},
        {"mini_batch_size": 100_000},
        {"half_life_time_size": 300},
        {"local_lloyd_init_method": "random", "local_lloyd_num_trials": 30},
        {"local_lloyd_max_iter": 5, "local_lloyd_tol": "0.5"},
        {"epochs": 3},
    ],
    ids=str,
)
def test_hyperparameters_at_work(workshop, more):
    data = rows(2000, seed=3)
    uri = workshop.put("hyper/a", recordio_bytes(data))
    name = re.sub(r"\W+", "-", str(more)).strip("-")
    outcome = workshop.train([channel("train", uri)], HYPERPARAMETERS | more, name=name)
    assert outcome.exit_code == 0, outcome.reason
    model = workshop.model(name)
    assert msd_of(model, data) < 1.2 * FEATURES
    text = "\n".join(outcome.lines)
    if more.get("extra_center_factor") == 1:
        assert "No shrinking is required" in text
    if more.get("local_lloyd_num_trials"):
        last = more["local_lloyd_num_trials"] - 1
        assert f"local kmeans attempt #{last}." in text
        assert f"local kmeans attempt #{last + 1}." not in text
    if more.get("epochs"):
        percents = re.findall(r"completed (\S+) % of epochs", text)
        assert percents == ["33.3333", "66.6667", "100"]


def test_numbers_far_from_zero_keep_their_digits(workshop):
    data = rows(2000).astype(np.float64) + 1e5
    uri = workshop.put("far/a", csv_bytes(data))
    described = channel("train", uri, ContentType="text/csv;label_size=0")
    outcome = workshop.train([described], HYPERPARAMETERS, name="far")
    assert outcome.exit_code == 0, outcome.reason
    assert outcome.metrics["train:msd"] == pytest.approx(FEATURES, rel=0.1)


def test_fewer_distinct_rows_than_clusters_still_give_k_centres(workshop):
    uri = workshop.put("equal/a", csv_bytes(np.repeat([[1.0, 2.0], [3.0, 4.0]], 10, axis=0)))
    described = channel("train", uri, ContentType="text/csv;label_size=0")
    outcome = workshop.train([described], {"k": 4, "feature_dim": 2}, name="equal")
    assert outcome.exit_code == 0, outcome.reason
    centres = workshop.model("equal").centres
    assert centres.shape == (4, 2)
    assert sorted(set(map(tuple, centres.tolist()))) == [(1, 2), (3, 4)]
    assert outcome.metrics["train:msd"] == 0


@pytest.mark.parametrize(
    ("hyperparameters", "body", "more", "words"),
    [
        ({"feature_dim": 2}, b"", {}, r"No value\(s\) were specified for 'k'"),
        ({"k": 2, "feature_dim": 2, "epoch": 1}, b"", {}, "'epoch' was unexpected"),
        ({"k": 2, "feature_dim": 2, "epochs": "x"}, b"", {}, "epochs"),
        ({"k": 4, "feature_dim": 2}, csv_bytes(np.eye(2)), {}, "2 records, fewer than .* k=4"),
        ({"k": 2, "feature_dim": 3}, csv_bytes(np.eye(2)), {}, "row 1 has 2 columns"),
        ({"k": 2, "feature_dim": 2}, b"1,2\n3,nan\n", {}, "row 2 .* no finite"),
        ({"k": 2, "feature_dim": 2}, b"1,2\n3,4\n", {"ContentType": None}, "no record begins here"),
        ({"k": 1, "feature_dim": 2}, b"1e30,2\n3,4\n", {}, "Scale the features"),
        ({"k": 1, "feature_dim": 2}, b"1,2\n", {"CompressionType": "Gzip"}, "gzip"),
    ],
)
def test_wrong_input_fails_with_a_client_error_that_says_why(
    workshop, hyperparameters, body, more, words
):
    uri = workshop.put("wrong/a", body or b"1,2\n")
    described = channel("train", uri, **({"ContentType": "text/csv;label_size=0"} | more))
    described = {key: value for key, value in described.items() if value is not None}
    for mode in ("File", "Pipe"):
        outcome = workshop.train([described], hyperparameters, mode=mode)
        assert outcome.exit_code == 1
        assert outcome.events[-1]["event"] == "failed"
        assert outcome.reason.startswith("ClientError: ")
        assert re.search(words, outcome.reason)
        assert "Traceback" in outcome.stderr
        assert not list(outcome.folder.glob("input*"))


def test_missing_data_and_buckets_fail_with_a_client_error(workshop):
    uri = workshop.put("there/a", recordio_bytes(rows(100)))
    manifest = workshop.put(
        "there/manifest", json.dumps([{"prefix": workshop.uri("there/")}, "a", "b"]).encode()
    )
    for mode in ("File", "Pipe"):
        by_manifest = channel("train", manifest, S3DataType="ManifestFile")
        outcome = workshop.train([by_manifest], HYPERPARAMETERS, mode=mode)
        assert re.match(r"ClientError: .*no object s3://.*/there/b", outcome.reason)
    outcome = workshop.train([channel("train", workshop.uri("nothing/"))], HYPERPARAMETERS)
    assert outcome.reason.startswith("ClientError: No S3 objects found under S3 URL ")
    outcome = workshop.train(
        [channel("train", uri)],
        HYPERPARAMETERS,
        OutputDataConfig={"S3OutputPath": "s3://no-such-bucket/models"},
    )
    assert re.match("ClientError: .*S3OutputPath.*no-such-bucket", outcome.reason)


def test_trouble_with_the_store_is_no_fault_of_the_client(workshop):
    _, folder = workshop.prepare([channel("train", workshop.uri("x"))], HYPERPARAMETERS)
    job = json.loads((folder / "job.json").read_text())
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    job["s3"]["endpoint"] = f"http://127.0.0.1:{port}"
    (folder / "job.json").write_text(json.dumps(job))
    outcome = workshop.finish(workshop.start(folder), folder)
    assert outcome.exit_code == 1
    assert outcome.reason.startswith(f"InternalServerError: S3 at http://127.0.0.1:{port} failed")

    secret = workshop.environment["AWS_SECRET_ACCESS_KEY"]
    _, folder = workshop.prepare([channel("train", workshop.uri("x"))], HYPERPARAMETERS)
    outcome = workshop.finish(workshop.start(folder, AWS_SECRET_ACCESS_KEY="wrong"), folder)
    assert outcome.reason.startswith("InternalServerError: ")
    assert "AWS_SECRET_ACCESS_KEY" in outcome.reason
    assert secret not in outcome.stderr


def test_a_proxy_of_the_environment_is_not_asked(workshop):
    uri = workshop.put("proxy/a", recordio_bytes(rows(100)))
    _, folder = workshop.prepare([channel("train", uri)], HYPERPARAMETERS, name="proxy")
    nowhere = "http://127.0.0.1:9"
    process = workshop.start(folder, HTTP_PROXY=nowhere, http_proxy=nowhere, ALL_PROXY=nowhere)
    assert workshop.finish(process, folder).exit_code == 0


class Dam:
    """Stands before the S3 server: passes everything on, but of each answer only so much."""

    def __init__(self, endpoint, passing):
        self.target = (urlsplit(endpoint).hostname, urlsplit(endpoint).port)
        self.passing = passing
        self.server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        self.full = threading.Event()
        self.open = threading.Event()
        self.sockets = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.server.accept()
                far = socket.create_connection(self.target)
                self.sockets += [near, far]
                threading.Thread(target=self.pump, args=(near, far, None), daemon=True).start()
                threading.Thread(
                    target=self.pump, args=(far, near, self.passing), daemon=True
                ).start()

    def pump(self, source, target, left):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if left is not None:
                    left -= len(data)
                    if left < 0:
                        self.full.set()
                        self.open.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self):
        self.open.set()
        self.server.close()
        for each in self.sockets:
            each.close()


@pytest.fixture
def dammed_job(workshop):
    """A job whose data come to a halt on their way: its folder, by input mode."""
    uri = workshop.put("dam/a", recordio_bytes(rows(200_000)))
    dam = Dam(workshop.endpoint, passing=4_000_000)

    def prepare(mode):
        _, folder = workshop.prepare(
            [channel("train", uri)], HYPERPARAMETERS | {"mini_batch_size": 500}, mode=mode
        )
        job = json.loads((folder / "job.json").read_text())
        job["s3"]["endpoint"] = dam.endpoint
        (folder / "job.json").write_text(json.dumps(job))
        return folder, dam

    yield prepare
    dam.close()


def read_until(process, status):
    said = b""
    for line in process.stdout:
        said += line
        if json.loads(line).get("status") == status:
            return said
    raise AssertionError(said.decode())


def test_the_end_of_the_service_is_the_end_of_the_process(workshop, dammed_job):
    for mode, status in (("Pipe", "Training"), ("File", "Downloading")):
        folder, dam = dammed_job(mode)
        process = workshop.start(folder)
        said = read_until(process, status)
        assert dam.full.wait(30)
        process.stdin.close()
        assert process.wait(timeout=10) != 0
        said += process.stdout.read()
        kinds = {json.loads(line)["event"] for line in said.splitlines()}
        assert not kinds & {"done", "failed"}


def test_a_stop_while_data_are_downloaded_leaves_no_model(workshop, dammed_job):
    folder, dam = dammed_job("File")
    process = workshop.start(folder)
    said = read_until(process, "Downloading")
    assert dam.full.wait(30)
    process.send_signal(signal.SIGTERM)
    dam.open.set()
    outcome = workshop.finish(process, folder, said)
    assert outcome.exit_code == 0
    assert outcome.events[-1] == {"event": "done", "artifacts": None}
    assert sorted(path.name for path in folder.iterdir()) == ["job.json", "stderr.txt"]


def test_a_stop_in_the_first_epoch_keeps_the_model_made_of_what_was_seen(workshop, dammed_job):
    folder, dam = dammed_job("Pipe")
    process = workshop.start(folder)
    said = read_until(process, "Training")
    assert dam.full.wait(30)
    process.send_signal(signal.SIGTERM)
    dam.open.set()
    outcome = workshop.finish(process, folder, said)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.statuses == ["Training", "Uploading"]
    seen = int(re.search(r"processed a total of (\d+) examples", "\n".join(outcome.lines))[1])
    assert 0 < seen < 200_000
    assert close_to_middles(workshop.model(folder.name.partition("-")[2]))


def test_a_stop_keeps_the_model_made_of_what_was_seen(workshop):
    data = rows(2000, seed=4)
    uri = workshop.put("stop/a", recordio_bytes(data))
    _, folder = workshop.prepare(
        [channel("train", uri)], HYPERPARAMETERS | {"epochs": 1_000_000}, name="stop"
    )
    process = workshop.start(folder)
    said = b""
    for line in process.stdout:
        said += line
        if b"#progress_metric" in line:
            break
    process.send_signal(signal.SIGTERM)
    outcome = workshop.finish(process, folder, said)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.statuses == ["Downloading", "Training", "Uploading"]
    assert outcome.events[-1]["artifacts"] == workshop.uri("models/stop/output/model.tar.gz")
    assert "the model is made of what was seen" in "\n".join(outcome.lines)
    assert close_to_middles(workshop.model("stop"))
    assert outcome.metrics == {}
