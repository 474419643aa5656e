"""SageMaker, and what its clients call beside it: the distribution ``sagemaker-local``.

It is installed beside Tradewind and started by its command: nothing of it is imported here.
"""

from __future__ import annotations

import signal

from tradewind.local.system import AWS_REGION, Context, Offer, System, find_program

__all__ = ["SYSTEM", "SageMaker"]

_ACCOUNT = "123456789012"

# What the service answers: boto3's service name, which keys an Airflow connection's service_config,
# and the suffix of AWS_ENDPOINT_URL_..., which is botocore's service id.
_SERVICES = {
    "sagemaker": "SAGEMAKER",
    "sagemaker-runtime": "SAGEMAKER_RUNTIME",
    "logs": "CLOUDWATCH_LOGS",
    "sts": "STS",
    "iam": "IAM",
}


class SageMaker(System):
    """Training, endpoints and batch transform, with CloudWatch Logs, STS and IAM."""

    name = "sagemaker"
    summary = "SageMaker, its runtime, CloudWatch Logs, STS and IAM; trains and serves for real"
    default_port = 9010
    role = "sagemaker"
    needs = ("s3",)
    start_timeout = 60.0

    def check(self) -> None:
        """Look for the service's command."""
        self.program()

    def program(self) -> str:
        """Return the path of the service's command.

        Raises:
            SetupError: It is not installed.
        """
        return find_program(
            "sagemaker-local",
            system=self.name,
            remedy="It is a distribution of its own, in Tradewind's repository. Install it from a "
            "clone: pip install ./packages/sagemaker-local",
        )

    def start(self, context: Context) -> Offer:
        """Start the service and wait until it announces its endpoint."""
        s3 = context.offers["s3"]
        data = context.folder / "state"
        data.mkdir(exist_ok=True)
        child = context.children.start(
            [
                self.program(),
                "serve",
                f"--data={data}",
                f"--s3-endpoint={s3.endpoint}",
                f"--host={context.host}",
                f"--port={context.port}",
                f"--region={AWS_REGION}",
                f"--account={_ACCOUNT}",
            ],
            environment=s3.environment,
            separate_output=True,
            # Politely, so that it stops the containers it has started, which are not its children.
            death_signal=signal.SIGTERM,
        )
        endpoint = child.announced_endpoint(seconds=context.start_timeout)
        return Offer(
            endpoint=endpoint,
            environment={f"AWS_ENDPOINT_URL_{suffix}": endpoint for suffix in _SERVICES.values()},
            connections={
                "aws_default": {
                    "extra": {
                        # For any other AWS service too: an error here, rather than a real account.
                        "endpoint_url": endpoint,
                        "service_config": {
                            service: {"endpoint_url": endpoint} for service in _SERVICES
                        },
                    }
                }
            },
        )


SYSTEM = SageMaker()
