"""The API, against a real endpoint that serves a really trained model."""

import base64
import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image

from digits.layout import Layout
from digits.model import read_artifact
from digits.prepare import prepare
from digits_service import MODEL, TRAINED, DigitsService, digits
from handwriting import drawn, encoded, paper
from sagemaker_service import kmeans_artifact, wait_status
from waiting import until


def png(uri):
    """The pixels, (784,) in 0..255, of a picture in an answer."""
    head, _, content = uri.partition(",")
    assert head == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    assert image.size == (28, 28)
    return np.asarray(image, np.int64).ravel()


def post(url, content, content_type):
    return httpx.post(url, content=content, headers={"Content-Type": content_type}, timeout=30)


@pytest.fixture(scope="module")
def centroids(service):
    key = service.layout.artifact_key(MODEL)
    body = service.s3.get_object(Bucket=service.layout.bucket, Key=key)["Body"].read()
    return read_artifact(io.BytesIO(body))


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (paper(5), "image/png"),
        (encoded(1 - drawn(5, side=900), "JPEG", quality=60), "image/jpeg"),
        (json.dumps((drawn(5) * 255).round().tolist()).encode(), "application/json"),
        (json.dumps(prepare(drawn(5)).tolist()).encode(), "application/json"),
    ],
    ids=["png", "jpeg", "rows", "flat"],
)
def test_a_digit_is_recognised_and_explained(url, centroids, content, content_type):
    answer = post(url, content, content_type)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["digit"] == 5
    assert found["model"] == {
        "date": "2026-01-01",
        "variant": MODEL,
        "accuracy": pytest.approx(0.95, abs=0.05),
    }
    seen = png(found["picture"])
    distances = np.linalg.norm(centroids - seen / 255, axis=1)
    assert found["cluster"] == distances.argmin()
    assert found["distance"] == pytest.approx(distances.min(), rel=1e-3)
    nearest = centroids[found["cluster"]]
    assert np.abs(png(found["centroid"]) - nearest * 255).max() <= 0.51


def test_distances_are_of_the_nearest_centroid_of_each_digit(url, service, centroids):
    key = service.layout.model_report_key(MODEL)
    report = json.load(service.s3.get_object(Bucket=service.layout.bucket, Key=key)["Body"])
    labels = np.array(report["labels"])
    found = post(url, paper(3), "image/png").json()
    distances = np.linalg.norm(centroids - png(found["picture"]) / 255, axis=1)
    expected = [float(distances[labels == digit].min()) for digit in range(10)]
    assert found["distances"] == pytest.approx(expected, rel=1e-3)
    for digit, entry in enumerate(found["digits"]):
        assert entry["digit"] == digit
        assert labels[entry["cluster"]] == digit
        assert entry["distance"] == found["distances"][digit]
        assert np.abs(png(entry["centroid"]) - centroids[entry["cluster"]] * 255).max() <= 0.51
    assert found["digit"] == int(np.argmin(found["distances"]))


def test_digits_the_model_never_saw_are_recognised(url):
    images, labels = digits()
    with httpx.Client(timeout=30) as client:
        answers = [
            client.post(url, json=image.reshape(28, 28).tolist()).json()["digit"]
            for image in images[TRAINED : TRAINED + 60]
        ]
    assert np.mean(answers == labels[TRAINED : TRAINED + 60]) >= 0.85


def test_a_form_with_a_file_is_taken(url):
    answer = httpx.post(url, files={"picture": ("seven.png", paper(1), "image/png")}, timeout=30)
    assert answer.json()["digit"] == 1


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (encoded(np.ones((50, 50))), "image/png", 422, "blank"),
        (json.dumps([0] * 784).encode(), "application/json", 422, "blank"),
        (paper(5)[:200], "image/png", 400, "unreadable"),
        (b"hello", "image/png", 415, "unsupported"),
        (b"hello", "text/plain", 415, "unsupported"),
        (b"[1, 2", "application/json", 400, "bad_pixels"),
        (b"[[NaN]]", "application/json", 400, "bad_pixels"),
        (b"", "image/png", 400, "bad_pixels"),
        (bytes(10 * 1024 * 1024 + 1), "image/png", 413, "too_large"),
    ],
)
def test_a_wrong_picture_is_answered_clearly(url, content, content_type, status, code):
    answer = post(url, content, content_type)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert len(error["message"]) > 20
    assert "Traceback" not in answer.text


def test_limits_are_settings(app, service):
    client = app(service.environment, TRADEWIND_DIGITS_MAX_BYTES="500")
    assert client.post("/", content=bytes(501)).status_code == 413
    client = app(
        service.environment, TRADEWIND_DIGITS_MAX_PIXELS="100", TRADEWIND_DIGITS_MAX_BYTES="90000"
    )
    refused = client.post("/", content=paper(5))
    assert refused.status_code == 413
    assert "280 x 280" in refused.json()["error"]["message"]


def test_other_addresses_and_methods_are_answered_in_json(url):
    absent = httpx.get(url + "digits")
    assert (absent.status_code, absent.json()["error"]["code"]) == (404, "not_found")
    refused = httpx.put(url, content=b"")
    assert (refused.status_code, refused.json()["error"]["code"]) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(refused.headers["allow"].split(", "))


def test_health_and_metrics(url):
    healthy = httpx.get(url + "health")
    assert healthy.status_code == 200
    assert healthy.json() == {
        "status": "ok",
        "endpoint": "digits-web",
        "endpoint_status": "InService",
    }
    post(url, paper(5), "image/png")
    metrics = httpx.get(url + "metrics")
    assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'digits_requests_total{outcome="recognised"}' in metrics.text
    assert "digits_endpoint_seconds_count" in metrics.text


# --- trouble behind the page


def refused(answer, status, code):
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    for secret in ("Traceback", "127.0.0.1", "AWS", "tradewind.local", "sagemaker_local"):
        assert secret not in answer.text
    return error["message"]


def test_an_endpoint_that_was_deleted_is_told(app, service):
    client = app(service.environment, TRADEWIND_DIGITS_ENDPOINT="digits-web-gone")
    artifact = service.layout.uri(service.layout.artifact_key(MODEL))
    service.deploy("digits-web-2026-01-02", artifact, endpoint="digits-web-gone")
    service.report("digits-web-2026-01-02", artifact)
    assert client.post("/", content=paper(5)).json()["digit"] == 5
    assert client.get("/health").status_code == 200

    service.sagemaker.delete_endpoint(EndpointName="digits-web-gone")
    wait_status(service.sagemaker, "digits-web-gone", "gone")
    answer = client.post("/", content=paper(5))
    assert "digits-web-gone" in refused(answer, 503, "endpoint_away")
    assert int(answer.headers["retry-after"]) > 0
    away = client.get("/health")
    assert away.status_code == 503
    assert away.json()["status"] == "unavailable"
    assert "digits_endpoint_errors_total" in client.get("/metrics").text
    assert client.get("/").status_code == 200  # the page itself stays


def test_sagemaker_that_does_not_answer_is_told(app, service, unused_port):
    client = app(
        service.environment,
        AWS_ENDPOINT_URL_SAGEMAKER=f"http://127.0.0.1:{unused_port}",
        AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=f"http://127.0.0.1:{unused_port}",
    )
    answer = client.post("/", content=paper(5))
    assert "does not answer" in refused(answer, 503, "endpoint_away")
    assert client.get("/health").status_code == 503


def test_missing_credentials_are_told(app, service, monkeypatch):
    client = app(service.environment, AWS_SHARED_CREDENTIALS_FILE="/nowhere", AWS_CONFIG_FILE="/no")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    refused(client.post("/", content=paper(5)), 503, "endpoint_away")


def test_a_store_that_does_not_answer_is_told(app, service, unused_port):
    client = app(service.environment, AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{unused_port}")
    refused(client.post("/", content=paper(5)), 503, "storage_away")


def test_a_model_without_names_for_its_clusters_is_told(app, service):
    client = app(service.environment, TRADEWIND_DIGITS_ENDPOINT="digits-web-unlabelled")
    artifact = service.layout.uri(service.layout.artifact_key(MODEL))
    model = "digits-web-2026-01-03"
    service.deploy(model, artifact, endpoint="digits-web-unlabelled")
    message = refused(client.post("/", content=paper(5)), 503, "model_unlabelled")
    assert model in message
    assert "evaluate_model" in message

    key = service.layout.model_report_key(model)
    for broken in (b"{", b"[]", b'{"labels": [1, 2], "artifact": "%s"}' % artifact.encode()):
        service.put(key, broken)
        refused(client.post("/", content=paper(5)), 503, "model_unlabelled")

    # As soon as it is judged it answers: a failure is not remembered.
    service.report(model, artifact)
    assert client.post("/", content=paper(5)).json()["digit"] == 5


def test_a_model_of_another_make_is_told(app, service):
    client = app(service.environment, TRADEWIND_DIGITS_ENDPOINT="digits-web-other")
    artifact = service.put("other/model.tar.gz", kmeans_artifact(np.eye(784)[:20]))
    service.deploy("someones-model", artifact, endpoint="digits-web-other")
    message = refused(client.post("/", content=paper(5)), 503, "model_unlabelled")
    assert "not made by this pipeline" in message

    narrow = service.put("narrow/model.tar.gz", kmeans_artifact(np.eye(4)))
    service.deploy("digits-web-2026-01-04", narrow, endpoint="digits-web-other")
    refused(client.post("/", content=paper(5)), 502, "model_failed")


def test_each_answer_is_explained_by_the_model_that_gave_it(app, service):
    """A model of the same pictures whose clusters are in another order takes over."""
    client = app(service.environment, TRADEWIND_DIGITS_ENDPOINT="digits-web-update")
    old, new = "digits-web-2026-01-05", "digits-web-2026-01-06"
    artifact = service.layout.uri(service.layout.artifact_key(MODEL))
    service.deploy(old, artifact, endpoint="digits-web-update")
    service.report(old, artifact)
    before = client.post("/", content=paper(5)).json()
    assert before["model"]["variant"] == old

    body = service.s3.get_object(
        Bucket=service.layout.bucket, Key=service.layout.artifact_key(MODEL)
    )["Body"].read()
    turned = service.put(
        service.layout.artifact_key(new), kmeans_artifact(read_artifact(io.BytesIO(body))[::-1])
    )
    service.report(new, turned)
    service.deploy(new, turned, endpoint="digits-web-update")

    def updated():
        answer = client.post("/", content=paper(5)).json()
        assert answer["digit"] == 5  # also while both are in service
        return answer["model"]["variant"] == new and answer

    after = until(updated)
    assert after["model"]["date"] == "2026-01-06"
    assert after["cluster"] != before["cluster"]
    assert after["centroid"] == before["centroid"]


def test_a_model_trained_again_under_its_name_is_loaded_anew(app, service):
    """The pipeline's artefact is replaced while the page knows the former one."""
    client = app(service.environment, TRADEWIND_DIGITS_ENDPOINT="digits-web-again")
    model = "digits-web-2026-01-07"
    body = service.s3.get_object(
        Bucket=service.layout.bucket, Key=service.layout.artifact_key(MODEL)
    )["Body"].read()
    artifact = service.put(service.layout.artifact_key(model), body)
    service.deploy(model, artifact, endpoint="digits-web-again")
    # What the page finds first is of another training than what is served.
    turned = kmeans_artifact(read_artifact(io.BytesIO(body))[::-1])
    service.put(service.layout.artifact_key(model), turned)
    service.report(model, artifact)
    message = refused(client.post("/", content=paper(5)), 503, "model_unlabelled")
    assert "another training" in message

    service.put(service.layout.artifact_key(model), body)
    service.report(model, artifact)
    assert client.post("/", content=paper(5)).json()["digit"] == 5


def test_an_empty_bucket_is_told(app, local_sagemaker, service):
    empty = DigitsService(local_sagemaker, Layout("digits-web-empty", "digits"), "digits-web")
    message = refused(app(empty.environment).post("/", content=paper(5)), 503, "model_unlabelled")
    assert "report.json is not in S3" in message
