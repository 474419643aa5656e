import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local.channels import CSV, RECORDIO, resolve_channels, shard
from sagemaker_local.errors import InputError
from training_jobs import Workshop, channel


@pytest.fixture
def workshop(local_s3, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, local_s3.environment[name])
    return Workshop(local_s3, tmp_path)


def resolve(workshop, *channels, mode="File"):
    request = {
        "InputDataConfig": list(channels),
        "AlgorithmSpecification": {"TrainingInputMode": mode},
    }
    return resolve_channels(
        request,
        workshop.objects(),
        required=("train",),
        optional=("test",),
        content_types=(RECORDIO, CSV),
    )


def keys(found):
    return [info.uri.key for info in found]


@given(st.lists(st.integers()), st.integers(1, 20))
def test_shards_hold_every_object_exactly_once_and_differ_by_one_at_most(objects, hosts):
    parts = [shard(objects, host, hosts) for host in range(hosts)]
    assert sorted(item for part in parts for item in part) == sorted(objects)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_defaults_of_a_channel(workshop):
    workshop.put("train/b", b"12")
    workshop.put("train/a", b"1")
    workshop.put("train/folder/", b"")
    workshop.put("trainees", b"1")
    found = resolve(workshop, channel("train", workshop.uri("train/")))
    train = found["train"]
    assert (train.content_type, train.label_columns) == (RECORDIO, 0)
    assert (train.streams, train.gzipped, train.sharded) == (False, False, False)
    assert keys(train.objects) == ["train/a", "train/b"]
    for host in range(3):
        assert keys(train.of_host(host, 3)) == ["train/a", "train/b"]


def test_everything_a_channel_can_say(workshop):
    for number in range(5):
        workshop.put(f"train/{number}", b"1")
    found = resolve(
        workshop,
        channel(
            "train",
            workshop.uri("train/"),
            ContentType="text/csv; label_size=2",
            CompressionType="Gzip",
            InputMode="Pipe",
            S3DataDistributionType="ShardedByS3Key",
            ShuffleConfig={"Seed": 7},
        ),
        channel("test", workshop.uri("train/3"), ContentType="text/csv", InputMode="FastFile"),
    )
    train, test = found["train"], found["test"]
    assert (train.content_type, train.label_columns) == (CSV, 2)
    assert (train.streams, train.gzipped, train.sharded) == (True, True, True)
    assert keys(train.of_host(1, 2)) == ["train/1", "train/3"]
    assert (test.label_columns, test.streams, keys(test.objects)) == (1, True, ["train/3"])

    first, second = (keys(train.in_epoch(train.objects, epoch)) for epoch in (0, 1))
    assert first != second
    assert sorted(first) == sorted(second) == keys(train.objects)
    assert first == keys(train.in_epoch(train.objects, 0))
    assert keys(test.in_epoch(train.objects, 5)) == keys(train.objects)


def test_the_mode_of_the_job_holds_for_channels_without_one(workshop):
    workshop.put("train/0", b"1")
    assert resolve(workshop, channel("train", workshop.uri("train/")), mode="Pipe")["train"].streams
    described = channel("train", workshop.uri("train/"), InputMode="File")
    assert not resolve(workshop, described, mode="Pipe")["train"].streams


def test_a_manifest_names_objects_behind_its_prefix_in_its_order(workshop):
    # As the SageMaker SDK 2.x writes it.
    manifest = [{"prefix": workshop.uri("data/x-")}, "matrix_1.pbr", "more/matrix_0.pbr"]
    uri = workshop.put("data/.amazon.manifest", json.dumps(manifest).encode())
    found = resolve(workshop, channel("train", uri, S3DataType="ManifestFile"))
    assert keys(found["train"].objects) == ["data/x-matrix_1.pbr", "data/x-more/matrix_0.pbr"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not json", "is not JSON"),
        (b"{}", "has not the form"),
        (b"[]", "has not the form"),
        (b'["a", "b"]', "has not the form"),
        (b'[{"prefix": 3}, "b"]', "has not the form"),
        (b'[{"prefix": "s3://bucket/"}, 3]', "has not the form"),
        (b'[{"prefix": "s3://bucket/"}]', "names no object"),
        (b'[{"prefix": "bucket/"}, "b"]', "s3://bucket/key"),
    ],
)
def test_a_wrong_manifest(workshop, content, words):
    uri = workshop.put("manifest", content)
    with pytest.raises(InputError, match=words):
        resolve(workshop, channel("train", uri, S3DataType="ManifestFile"))


def test_channels_that_lack_or_are_too_many(workshop):
    workshop.put("train/0", b"1")
    train = workshop.uri("train/")
    with pytest.raises(InputError, match="'train' is a required property"):
        resolve(workshop)
    with pytest.raises(InputError, match="'train' is a required property"):
        resolve(workshop, channel("test", train))
    with pytest.raises(InputError, match=r"not allowed \('validation' was unexpected\)"):
        resolve(workshop, channel("train", train), channel("validation", train))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"ContentType": "application/x-parquet"}, "content-type is 'application/x-parquet'"),
        ({"ContentType": "text/csv;label_size=one"}, "label_size"),
        ({"RecordWrapperType": "RecordIO"}, "RecordWrapperType"),
        ({"S3DataType": "AugmentedManifestFile"}, "AugmentedManifestFile"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(workshop, more, words):
    workshop.put("train/0", b"1")
    with pytest.raises(InputError, match=words) as raised:
        resolve(workshop, channel("train", workshop.uri("train/"), **more))
    assert "'train'" in str(raised.value)


def test_file_systems_are_refused(workshop):
    source = {"FileSystemDataSource": {"FileSystemId": "fs-1"}}
    with pytest.raises(InputError, match="'train' has no S3DataSource"):
        resolve(workshop, {"ChannelName": "train", "DataSource": source})


def test_nothing_under_the_prefix(workshop):
    workshop.put("train/folder/", b"")
    for prefix in ("nothing/", "train/"):
        with pytest.raises(InputError, match=f'No S3 objects found under S3 URL "s3://.*{prefix}"'):
            resolve(workshop, channel("train", workshop.uri(prefix)))
    with pytest.raises(InputError, match="no bucket s3://no-such-bucket"):
        resolve(workshop, channel("train", "s3://no-such-bucket/train"))
