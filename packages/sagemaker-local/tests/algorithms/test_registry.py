import pytest

from sagemaker_local import algorithms


@pytest.mark.parametrize(
    "image",
    [
        "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1",
        "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:latest",
        "000000000000.dkr.ecr.us-gov-west-1.amazonaws.com/kmeans",
        "387372181822.dkr.ecr.cn-north-1.amazonaws.com.cn/kmeans:1",
        "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans@sha256:" + "0a" * 32,
    ],
)
def test_kmeans_is_found_by_its_repository_in_any_account_and_region(image):
    algorithm = algorithms.find(image)
    assert algorithm is not None
    assert algorithm.name == "kmeans"
    assert algorithms.get("kmeans") is algorithm


@pytest.mark.parametrize(
    "image",
    [
        "438346466558.dkr.ecr.eu-west-1.amazonaws.com/linear-learner:1",
        "438346466558.dkr.ecr.eu-west-1.amazonaws.com/team/kmeans:1",
        "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans-own:1",
        "docker.io/library/kmeans:1",
        "kmeans:1",
        "",
    ],
)
def test_other_images_are_not_built_in(image):
    assert algorithms.find(image) is None
