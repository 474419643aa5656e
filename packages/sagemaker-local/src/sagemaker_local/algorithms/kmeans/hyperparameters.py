"""The hyperparameters of k-means: strings in a CreateTrainingJob request, checked here.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/k-means-api-config.html, and the defaults
that SageMaker's own container logs at the start of each job.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sagemaker_local.errors import InputError

__all__ = ["DEFAULTS", "Hyperparameters"]

DEFAULTS = {
    "init_method": "random",
    "mini_batch_size": "5000",
    "epochs": "1",
    "extra_center_factor": "auto",
    "local_lloyd_max_iter": "300",
    "local_lloyd_tol": "0.0001",
    "local_lloyd_init_method": "kmeans++",
    "local_lloyd_num_trials": "auto",
    "half_life_time_size": "0",
    "eval_metrics": '["msd"]',
    "force_dense": "true",
}
# SageMaker's container knows these, too; automatic model tuning sends the last one. They say how
# the container works inside or what a tuner looks at, so nothing follows from them here.
_INTERNAL = {
    "_disable_wait_to_read",
    "_enable_profiler",
    "_kvstore",
    "_log_level",
    "_num_gpus",
    "_num_kv_servers",
    "_num_slices",
    "_tuning_objective_metric",
}
_REQUIRED = ("k", "feature_dim")
_METRICS = ("msd", "ssd")

_MOST_CENTRES = 1024
_LLOYD_OPERATIONS = 20e9


def _refuse(name: str, value: str, wanted: str) -> InputError:
    return InputError(
        f"Hyperparameter {name}: {value!r} is not {wanted} (caused by ValidationError)"
    )


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Checked hyperparameters; names and meaning are SageMaker's.

    ``extra_center_factor`` and ``local_lloyd_num_trials`` are None for ``auto``.
    """

    k: int
    feature_dim: int
    epochs: int
    mini_batch_size: int
    init_method: str
    extra_center_factor: int | None
    half_life_time_size: int
    local_lloyd_init_method: str
    local_lloyd_max_iter: int
    local_lloyd_tol: float
    local_lloyd_num_trials: int | None
    eval_metrics: tuple[str, ...]

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Hyperparameters:
        """Check the hyperparameters of a request.

        Args:
            given: ``HyperParameters`` of CreateTrainingJob.

        Raises:
            InputError: One is missing, unknown or has a wrong value; the message names it.
        """
        missing = [name for name in _REQUIRED if name not in given]
        if missing:
            raise InputError(
                f"No value(s) were specified for {', '.join(map(repr, missing))} which are "
                "required hyperparameter(s) (caused by ValidationError)"
            )
        unknown = sorted(set(given) - set(DEFAULTS) - _INTERNAL - set(_REQUIRED))
        if unknown:
            raise InputError(
                f"Additional hyperparameters are not allowed ({', '.join(map(repr, unknown))} "
                f"{'was' if len(unknown) == 1 else 'were'} unexpected) (caused by ValidationError)"
            )
        values = DEFAULTS | {name: value.strip() for name, value in given.items()}
        _one_of(values, "force_dense", ("true", "false"))
        return cls(
            k=_integer(values, "k", 1),
            feature_dim=_integer(values, "feature_dim", 1),
            epochs=_integer(values, "epochs", 1),
            mini_batch_size=_integer(values, "mini_batch_size", 1),
            init_method=_one_of(values, "init_method", ("random", "kmeans++")),
            extra_center_factor=_integer_or_auto(values, "extra_center_factor"),
            half_life_time_size=_integer(values, "half_life_time_size", 0),
            local_lloyd_init_method=_one_of(
                values, "local_lloyd_init_method", ("random", "kmeans++")
            ),
            local_lloyd_max_iter=_integer(values, "local_lloyd_max_iter", 1),
            local_lloyd_tol=_fraction(values, "local_lloyd_tol"),
            local_lloyd_num_trials=_integer_or_auto(values, "local_lloyd_num_trials"),
            eval_metrics=_metrics(values),
        )

    @property
    def center_factor(self) -> int:
        """How many centres for each cluster: x of K = k * x.

        SageMaker logs 10 for ``auto`` with few clusters; it does not say what it takes for many.
        Here the number of centres that every row is compared with stays within 1,024, or three
        times k: on digits (k=256) more cost in proportion and recognised no better, twice k did
        worse.
        """
        if self.extra_center_factor is not None:
            return self.extra_center_factor
        return min(10, max(3, _MOST_CENTRES // self.k))

    @property
    def num_trials(self) -> int:
        """Runs of Lloyd's algorithm on the K centres.

        SageMaker logs 10 for ``auto`` with few clusters. Here it is fewer, down to 3, where ten
        iterations of all runs would take more than 20 G floating point operations: with so many
        centres the runs hardly differ.
        """
        if self.local_lloyd_num_trials is not None:
            return self.local_lloyd_num_trials
        one_run = 10 * 2.0 * self.k * self.center_factor * self.k * self.feature_dim
        return int(min(10, max(3, _LLOYD_OPERATIONS // one_run)))


def _integer(values: Mapping[str, str], name: str, least: int) -> int:
    text = values[name]
    # Digits only: int() would take "1_000" and "٣", too, and SageMaker takes neither.
    if not (text.isascii() and text.isdigit() and len(text) < 19) or int(text) < least:
        raise _refuse(name, text, f"an integer of {least} or more")
    return int(text)


def _integer_or_auto(values: Mapping[str, str], name: str) -> int | None:
    if values[name] == "auto":
        return None
    try:
        return _integer(values, name, 1)
    except InputError:
        raise _refuse(name, values[name], "an integer of 1 or more, or 'auto'") from None


def _fraction(values: Mapping[str, str], name: str) -> float:
    try:
        value = float(values[name])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:  # false for NaN, too
        raise _refuse(name, values[name], "a number from 0 to 1")
    return value


def _one_of(values: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = values[name].lower() if name == "force_dense" else values[name]  # the SDK sends "True"
    if value not in allowed:
        raise _refuse(name, values[name], f"one of {', '.join(map(repr, allowed))}")
    return value


def _metrics(values: Mapping[str, str]) -> tuple[str, ...]:
    text = values["eval_metrics"]
    try:
        metrics = json.loads(text)
    except ValueError:
        raise InputError(
            f"Hyperparameter must be valid json, but found eval_metrics: {text!r} "
            "(caused by ValueError)"
        ) from None
    if (
        not isinstance(metrics, list)
        or not metrics
        or any(metric not in _METRICS for metric in metrics)
        or len(set(metrics)) != len(metrics)
    ):
        raise _refuse("eval_metrics", text, 'a JSON list of "msd", "ssd" or both')
    return tuple(metrics)
