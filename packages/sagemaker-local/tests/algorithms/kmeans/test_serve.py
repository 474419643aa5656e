import io
import json
import os
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clients import clients_python
from sagemaker_local.algorithms import InvocationError
from sagemaker_local.algorithms.kmeans import codecs, model
from sagemaker_local.algorithms.kmeans.serve import KMeansModel
from sagemaker_local.errors import InputError
from tradewind.systems.sagemaker import recordio

CENTRES = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0]], np.float32)
ROWS = np.array([[9, 0, 0], [0.5, 0, 0], [0, 13, 4]], np.float32)
EXPECTED = [(1.0, 1.0), (0.0, 0.5), (2.0, 5.0)]

MODEL = KMeansModel(CENTRES)


def instances(rows):
    return [{"features": row} for row in np.asarray(rows).tolist()]


def as_csv(rows, before=""):
    return "\n".join(
        before + ",".join(map(repr, row)) for row in np.asarray(rows).tolist()
    ).encode()


REQUESTS = {
    "csv": ("text/csv", as_csv(ROWS)),
    "csv with CRLF and an empty last line": (
        "text/csv",
        as_csv(ROWS).replace(b"\n", b"\r\n") + b"\r\n\r\n",
    ),
    "csv without labels": ("text/csv; label_size=0", as_csv(ROWS)),
    "csv with a label": ("Text/CSV;label_size=1", as_csv(ROWS, before="7,")),
    "csv with a byte order mark": ("text/csv", b"\xef\xbb\xbf" + as_csv(ROWS)),
    "json": ("application/json", json.dumps({"instances": instances(ROWS)}).encode()),
    "json with charset": (
        "application/json; charset=utf-8",
        json.dumps({"instances": instances(ROWS)}).encode(),
    ),
    "json, long form": (
        "application/json",
        json.dumps(
            {"instances": [{"data": {"features": {"values": r}}} for r in ROWS.tolist()]}
        ).encode(),
    ),
    "json, sparse": (
        "application/json",
        json.dumps(
            {
                "instances": [
                    {"data": {"features": {"keys": [0], "shape": [3], "values": [9]}}},
                    {"data": {"features": {"keys": [0], "values": [0.5]}}},
                    {"data": {"features": {"keys": [2, 1], "shape": [3], "values": [4, 13]}}},
                ]
            }
        ).encode(),
    ),
    "json lines": (
        "application/jsonlines",
        b"\n".join(json.dumps(i).encode() for i in instances(ROWS)) + b"\n\n",
    ),
    "json lines, long form": (
        "application/jsonlines",
        b"\n".join(
            json.dumps({"data": {"features": {"values": row}}}).encode() for row in ROWS.tolist()
        ),
    ),
    "recordio": (
        "application/x-recordio-protobuf",
        b"".join(recordio.encode([ROWS])),
    ),
    "recordio of doubles with labels": (
        "application/x-recordio-protobuf",
        b"".join(recordio.encode([(ROWS.astype(np.float64), np.array([1.0, 2.0, 3.0]))])),
    ),
}


@pytest.mark.parametrize(("content_type", "body"), REQUESTS.values(), ids=REQUESTS)
def test_every_kind_of_request_is_understood(content_type, body):
    answer, kind = MODEL.invoke(body, content_type, None)
    assert kind == "application/json"
    assert json.loads(answer) == {
        "predictions": [
            {"closest_cluster": cluster, "distance_to_cluster": distance}
            for cluster, distance in EXPECTED
        ]
    }


def test_a_single_object_of_the_long_form_is_one_row():
    body = json.dumps({"data": {"features": {"values": [9, 0, 0]}}}).encode()
    answer, _ = MODEL.invoke(body, "application/json", "application/json")
    assert answer == b'{"predictions": [{"closest_cluster": 1.0, "distance_to_cluster": 1.0}]}'


@pytest.mark.parametrize("accept", [None, "", "*/*", "application/*", "image/png, */*;q=0.1"])
def test_json_is_answered_unless_something_else_is_asked_for(accept):
    assert MODEL.invoke(as_csv(ROWS), "text/csv", accept)[1] == "application/json"


@pytest.mark.parametrize(
    ("accept", "kind", "answer"),
    [
        ("text/csv", "text/csv", b"1.0,1.0\n0.0,0.5\n2.0,5.0"),
        ("text/csv;q=0.5, application/json;q=0.4", "text/csv", b"1.0,1.0\n0.0,0.5\n2.0,5.0"),
        ("application/xml, text/csv", "text/csv", b"1.0,1.0\n0.0,0.5\n2.0,5.0"),
        (
            "application/jsonlines",
            "application/jsonlines",
            b'{"closest_cluster": 1.0, "distance_to_cluster": 1.0}\n'
            b'{"closest_cluster": 0.0, "distance_to_cluster": 0.5}\n'
            b'{"closest_cluster": 2.0, "distance_to_cluster": 5.0}',
        ),
    ],
)
def test_answers_in_text(accept, kind, answer):
    assert MODEL.invoke(as_csv(ROWS), "text/csv", accept) == (answer, kind)


def test_recordio_answer_is_one_record_a_row_with_two_labels():
    answer, kind = MODEL.invoke(as_csv(ROWS[:1]), "text/csv", "application/x-recordio-protobuf")
    assert kind == "application/x-recordio-protobuf"
    assert answer == bytes.fromhex(
        "0a23d7ce 3e000000"
        "121b 0a0f 636c6f736573745f636c7573746572 1208 1206 0a04 0000803f"
        "121f 0a13 64697374616e63655f746f5f636c7573746572 1208 1206 0a04 0000803f 0000"
    )


@pytest.mark.clients
def test_the_sagemaker_sdk_reads_a_recordio_answer(tmp_path):
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(300, 3)).astype(np.float32) * 10
    answer, _ = MODEL.invoke(as_csv(rows), "text/csv", "application/x-recordio-protobuf")
    (tmp_path / "answer").write_bytes(answer)
    script = """
import json, sys
from sagemaker.deserializers import RecordDeserializer
kind = "application/x-recordio-protobuf"
records = RecordDeserializer().deserialize(open(sys.argv[1], "rb"), kind)
print(json.dumps([[r.label[k].float32_tensor.values[0]
    for k in ("closest_cluster", "distance_to_cluster")] for r in records]))
assert all(set(r.label) == {"closest_cluster", "distance_to_cluster"} for r in records)
"""
    done = subprocess.run(
        [clients_python(), "-c", script, tmp_path / "answer"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_DEFAULT_REGION": "eu-west-1"},
    )
    clusters, distances = MODEL.predict(rows)
    read = np.array(json.loads(done.stdout.splitlines()[-1]), np.float32)
    np.testing.assert_array_equal(read[:, 0], clusters)
    np.testing.assert_array_equal(read[:, 1], distances)


@given(
    hnp.arrays(np.float32, (7, 4), elements=st.floats(-1e6, 1e6, width=32)),
    hnp.arrays(np.float32, (9, 4), elements=st.floats(-1e6, 1e6, width=32)),
)
@settings(max_examples=60)
def test_every_answer_reads_back_as_the_same_numbers(centres, rows):
    served = KMeansModel(centres)
    clusters, distances = served.predict(rows)

    body = as_csv(rows)
    in_json = json.loads(served.invoke(body, "text/csv", "application/json")[0])["predictions"]
    lines = served.invoke(body, "text/csv", "application/jsonlines")[0].splitlines()
    assert [json.loads(line) for line in lines] == in_json
    in_csv = np.loadtxt(
        io.BytesIO(served.invoke(body, "text/csv", "text/csv")[0]), np.float32, delimiter=","
    )
    np.testing.assert_array_equal(in_csv[:, 0], clusters)
    np.testing.assert_array_equal(in_csv[:, 1], distances)
    np.testing.assert_array_equal(
        np.array([row["distance_to_cluster"] for row in in_json], np.float32), distances
    )

    # The distance is the true one to the named cluster, and no other cluster is truly closer
    # than float32 can tell.
    true = np.linalg.norm(rows[:, None].astype(np.float64) - centres[None], axis=2)
    named = true[np.arange(len(rows)), clusters]
    np.testing.assert_allclose(distances, named, rtol=1e-5, atol=1e-30)
    size = np.abs(rows).max(initial=1) + np.abs(centres).max(initial=1)
    assert (named**2 - true.min(axis=1) ** 2 <= 1e-5 * size**2).all()


def test_small_distances_of_long_vectors_keep_their_digits():
    centre = np.full((1, 784), 255, np.float32)
    row = centre.copy()
    row[0, 0] = 254
    _, distances = KMeansModel(centre).predict(row)
    assert distances[0] == 1.0


def test_large_requests_are_answered_block_by_block():
    rng = np.random.default_rng(0)
    centres, rows = rng.random((300, 40), np.float32), rng.random((30_000, 40), np.float32)
    clusters, distances = KMeansModel(centres).predict(rows)
    some = rng.choice(len(rows), 500, replace=False)
    true = np.linalg.norm(rows[some, None] - centres[None], axis=2)
    np.testing.assert_array_equal(clusters[some], true.argmin(axis=1))
    np.testing.assert_allclose(distances[some], true.min(axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("text/csv", b"", "empty"),
        ("text/csv", b"\n \n", "empty"),
        ("text/csv", b"1,2", "row 1 has 2 features.*feature_dim=3"),
        ("text/csv", b"1,2,3\n1,2,3,4\n1,2", "row 2 has 4 features"),
        ("text/csv; label_size=1", b"1,2,3", "row 1 has 2 features"),
        ("text/csv; label_size=x", b"1,2,3", "label_size"),
        ("text/csv", b"1,2,three", "not a number.*three"),
        ("text/csv", b"a,b,c\n1,2,3", "not a number"),
        ("text/csv", b"1,,3", "not a number"),
        ("text/csv", b"1,2_0,3", "not a number"),
        ("text/csv", b"\xff\xfe,1,2", "not a number"),
        ("text/csv", b"1,2,3\n1,nan,3", "row 2 holds .* no finite"),
        ("text/csv", b"1,2,1e39", "row 1 holds .* no finite"),
        ("application/json", b"{", "not JSON"),
        ("application/json", b"\xff", "not JSON"),
        ("application/json", b"[" * 100_000, "not JSON"),
        ("application/json", b"[1, 2, 3]", "instances"),
        ("application/json", b'{"instances": 1}', "not a list"),
        ("application/json", b'{"instances": []}', "no rows"),
        ("application/json", b'{"instances": [[1, 2, 3]]}', "instance 1 has no list"),
        ("application/json", b'{"instances": [{"features": [1, 2]}]}', "row 1 has 2 features"),
        ("application/json", b'{"instances": [{"features": ["a", 1, 2]}]}', "numbers"),
        ("application/json", b'{"instances": [{"features": [null, 1, 2]}]}', "finite"),
        ("application/json", b'{"instances": [{"features": [NaN, 1, 2]}]}', "finite"),
        ("application/json", b'{"instances": [{"features": [[1], [2], [3]]}]}', "flat"),
        ("application/json", b'{"instances": [{"features": [[1], 2, 3]}]}', "numbers"),
        (
            "application/json",
            b'{"instances": [{"data": {"features": {"keys": [3], "values": [1]}}}]}',
            "sparse",
        ),
        (
            "application/json",
            b'{"instances": [{"data": {"features": {"keys": [-1], "values": [1]}}}]}',
            "sparse",
        ),
        (
            "application/json",
            b'{"instances": [{"data": {"features": {"keys": [1], "shape": [4], "values": [1]}}}]}',
            "shape",
        ),
        ("application/jsonlines", b'{"features": [1, 2, 3]}\n{"features": [1', "line 2"),
        ("application/x-recordio-protobuf", b"no frames at all", "RecordIO"),
        (
            "application/x-recordio-protobuf",
            b"".join(recordio.encode([np.ones((2, 3), np.float32)]))[:-3],
            "RecordIO",
        ),
        (
            "application/x-recordio-protobuf",
            b"".join(recordio.encode([np.ones((2, 5), np.float32)])),
            "row 1 has 5 features",
        ),
    ],
)
def test_a_wrong_payload_is_status_400_and_says_why(content_type, body, words):
    with pytest.raises(InvocationError, match=words) as raised:
        MODEL.invoke(body, content_type, None)
    assert raised.value.status == 400
    assert raised.value.message.startswith("unable to evaluate payload provided: ")


@pytest.mark.parametrize("content_type", [None, "", "image/png", "application/octet-stream"])
def test_another_content_type_is_status_415(content_type):
    with pytest.raises(InvocationError, match="Supported content-types are text/csv") as raised:
        MODEL.invoke(b"1,2,3", content_type, None)
    assert raised.value.status == 415


def test_another_accept_is_status_406():
    with pytest.raises(InvocationError, match="Accept image/png not supported") as raised:
        MODEL.invoke(b"1,2,3", "text/csv", "image/png")
    assert raised.value.status == 406


def test_load_from_a_path_and_from_an_open_file(tmp_path):
    path = tmp_path / "model.tar.gz"
    with path.open("wb") as file:
        model.write_archive(CENTRES, file)
    for source in (path, io.BytesIO(path.read_bytes())):
        served = KMeansModel.load(source)
        np.testing.assert_array_equal(served.centres, CENTRES)
        assert served.features == 3
    with pytest.raises(InputError, match="nothing"):
        KMeansModel.load(tmp_path / "nothing.tar.gz")


@given(st.binary(max_size=200), st.sampled_from([*codecs.REQUESTS]))
def test_no_payload_makes_anything_but_an_answer_or_a_refusal(body, content_type):
    try:
        answer, _ = MODEL.invoke(body, content_type, None)
    except InvocationError:
        return
    json.loads(answer)
