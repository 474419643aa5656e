import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local.algorithms.kmeans.hyperparameters import Hyperparameters
from sagemaker_local.errors import InputError

LEAST = {"k": "10", "feature_dim": "784"}


def test_defaults_are_those_of_sagemaker():
    assert Hyperparameters.parse(LEAST) == Hyperparameters(
        k=10,
        feature_dim=784,
        epochs=1,
        mini_batch_size=5000,
        init_method="random",
        extra_center_factor=None,
        half_life_time_size=0,
        local_lloyd_init_method="kmeans++",
        local_lloyd_max_iter=300,
        local_lloyd_tol=1e-4,
        local_lloyd_num_trials=None,
        eval_metrics=("msd",),
    )


def test_everything_the_sagemaker_sdk_and_a_tuner_send():
    # KMeans.hyperparameters() of SDK 2.x with every argument, and what automatic tuning adds.
    parsed = Hyperparameters.parse(
        {
            "force_dense": "True",
            "k": "5",
            "init_method": "kmeans++",
            "local_lloyd_max_iter": "3",
            "local_lloyd_tol": "0.5",
            "local_lloyd_num_trials": "5",
            "local_lloyd_init_method": "random",
            "half_life_time_size": "9",
            "epochs": "10",
            "extra_center_factor": "2",
            "eval_metrics": '["msd", "ssd"]',
            "feature_dim": "784",
            "mini_batch_size": "500",
            "_tuning_objective_metric": "test:msd",
        }
    )
    assert parsed == Hyperparameters(
        k=5,
        feature_dim=784,
        epochs=10,
        mini_batch_size=500,
        init_method="kmeans++",
        extra_center_factor=2,
        half_life_time_size=9,
        local_lloyd_init_method="random",
        local_lloyd_max_iter=3,
        local_lloyd_tol=0.5,
        local_lloyd_num_trials=5,
        eval_metrics=("msd", "ssd"),
    )
    assert (parsed.center_factor, parsed.num_trials) == (2, 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("k", "0"),
        ("k", "-1"),
        ("k", "2.5"),
        ("k", ""),
        ("k", "ten"),
        ("k", "1_0"),
        ("k", "٣"),
        ("k", "9" * 30),
        ("feature_dim", "0"),
        ("epochs", "0"),
        ("mini_batch_size", "0"),
        ("init_method", "kmeans"),
        ("init_method", "Random"),
        ("extra_center_factor", "0"),
        ("extra_center_factor", "Auto"),
        ("half_life_time_size", "-1"),
        ("half_life_time_size", "auto"),
        ("local_lloyd_init_method", "none"),
        ("local_lloyd_max_iter", "0"),
        ("local_lloyd_tol", "1.5"),
        ("local_lloyd_tol", "-0.1"),
        ("local_lloyd_tol", "nan"),
        ("local_lloyd_tol", "small"),
        ("local_lloyd_num_trials", "0"),
        ("eval_metrics", "msd"),
        ("eval_metrics", "[]"),
        ("eval_metrics", '"msd"'),
        ("eval_metrics", '["mse"]'),
        ("eval_metrics", '["msd", "msd"]'),
        ("eval_metrics", "[[]]"),
        ("force_dense", "yes"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=name):
        Hyperparameters.parse(LEAST | {name: value})


def test_missing_and_unknown_ones():
    with pytest.raises(
        InputError,
        match=r"^No value\(s\) were specified for 'k', 'feature_dim' which are required "
        r"hyperparameter\(s\) \(caused by ValidationError\)$",
    ):
        Hyperparameters.parse({})
    with pytest.raises(InputError, match=r"not allowed \('num_clusters' was unexpected\)"):
        Hyperparameters.parse(LEAST | {"num_clusters": "3"})
    with pytest.raises(InputError, match=r"\('K', '_secret' were unexpected\)"):
        Hyperparameters.parse(LEAST | {"K": "3", "_secret": "1"})


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_auto_is_what_sagemaker_logs_for_few_clusters_and_bounded_for_many(k, features):
    parsed = Hyperparameters.parse({"k": str(k), "feature_dim": str(features)})
    assert 3 <= parsed.center_factor <= 10
    assert 3 <= parsed.num_trials <= 10
    assert k * parsed.center_factor <= max(1024, 3 * k)
    if k <= 10:
        assert parsed.center_factor == 10
