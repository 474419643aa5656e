"""Real systems on this machine, to develop and test against.

::

    from tradewind.local import up

    with up(["s3", "sagemaker"], data=Path(".tradewind/data")) as systems:
        systems["s3"].endpoint      # "http://127.0.0.1:40123"
        systems.environment         # what boto3, the AWS CLI and Airflow read
"""

from tradewind.local.up import RunningSystem, Systems, up

__all__ = ["RunningSystem", "Systems", "up"]
