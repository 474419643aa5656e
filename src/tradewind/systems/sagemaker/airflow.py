"""SageMaker from an AWS connection, by the official hook: clients, backends, and S3 and IAM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tradewind.concealing import concealing, keep_secrets_out_of_logs
from tradewind.errors import InputError, SetupError
from tradewind.redaction import without_user

if TYPE_CHECKING:
    from tradewind.run.backend import Backend

__all__ = ["AWS", "open_deployments", "open_sagemaker"]


class AWS:
    """An AWS connection, and what its user says beside it.

    Args:
        aws_conn_id: An AWS connection; None for boto3's own chain.
        region_name: Instead of the connection's.
        verify: Whether to check certificates, or the file with those to trust.
        botocore_config: Arguments of `botocore.config.Config`.

    Raises:
        SetupError: The official provider is not installed.
    """

    def __init__(
        self,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
        except ImportError as error:
            raise SetupError(
                "An AWS connection needs Airflow's Amazon provider. Install it with: "
                "pip install apache-airflow-providers-amazon"
            ) from error
        self._name = aws_conn_id
        self._hook = AwsBaseHook(
            aws_conn_id=aws_conn_id,
            client_type="sagemaker",
            region_name=region_name,
            verify=verify,
            config=dict(botocore_config) if botocore_config else None,
        )
        self._session: Any = None

    @concealing()
    def client(self, service: str) -> Any:
        """Make boto3's client of a service.

        Args:
            service: Like ``sagemaker``.

        Raises:
            SetupError: The connection is wrong.
        """
        hook = self._hook
        try:
            if self._session is None:
                self._session = hook.get_session(region_name=hook.region_name)
            options: dict[str, Any] = {"config": hook.config}
            endpoint = hook.conn_config.get_service_endpoint_url(service)
            if endpoint:
                options["endpoint_url"] = without_user(endpoint, "AWS", "https://host:port")
            if hook.verify is not None:
                options["verify"] = hook.verify
            client = self._session.client(service, **options)
            keep_secrets_out_of_logs("boto3", "botocore", "urllib3")
            return client
        except Exception as error:
            raise SetupError(
                f"The Airflow connection {self._name!r} gives no AWS client of {service}: {error}. "
                "Correct it."
            ) from error

    def clients(self) -> dict[str, Any]:
        """Make the clients that a backend needs."""
        return {service: self.client(service) for service in ("sagemaker", "logs")}

    def expand_role(self, role: str) -> str:
        """Look up the ARN of a role.

        Args:
            role: Its name; what has a slash is an ARN already.

        Raises:
            InputError: There is no such role.
            SetupError: It may not be looked up.
        """
        if "/" in role:
            return role
        client = self.client("iam")
        with self._named(f"the role {role!r}", "Create it, or name another one."):
            return str(client.get_role(RoleName=role)["Role"]["Arn"])

    @contextmanager
    def _named(self, what: str, remedy: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            text = f"AWS: {what}: {message.rstrip('.')} ({code})."
            if code in ("NoSuchEntity", "NoSuchBucket", "404", "ValidationError"):
                raise InputError(f"{text} {remedy}") from error
            raise SetupError(f"{text} Check credentials and permissions.") from error
        except BotoCoreError as error:
            raise SetupError(f"AWS: {what}: {error}. Check the connection.") from error

    # ----------------------------------------------------------------------------------------- S3

    def do_s3_operations(self, operations: Mapping[str, Any]) -> None:
        """Make buckets and upload files, as ``S3Operations`` of a configuration says.

        Args:
            operations: ``S3CreateBucket`` and ``S3Upload``, as the official operators have them.
        """
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook
        from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook

        hook = S3Hook(aws_conn_id=self._name, verify=self._hook.verify)
        for one in operations.get("S3CreateBucket", []):
            if not hook.check_for_bucket(one["Bucket"]):
                hook.create_bucket(bucket_name=one["Bucket"])
        for one in operations.get("S3Upload", []):
            # A retry uploads the same once more.
            if one.get("Tar"):
                tarring = SageMakerHook(aws_conn_id=self._name)  # type: ignore[no-untyped-call]
                tarring.tar_and_s3_upload(one["Path"], one["Key"], one["Bucket"])
            else:
                hook.load_file(one["Path"], one["Key"], one["Bucket"], replace=True)

    def check_s3(self, uris: Iterable[str]) -> None:
        """Make sure that data are where a job is to look for them.

        Args:
            uris: ``s3://bucket/prefix``, each of which some key must begin with. What these
                credentials may not list is passed over: the job's role may be allowed to.

        Raises:
            InputError: There are none.
        """
        from botocore.exceptions import ClientError

        client = None
        for uri in uris:
            client = client or self.client("s3")
            bucket, _, prefix = uri.removeprefix("s3://").partition("/")
            try:
                with self._named(uri, "Create the bucket, or correct the configuration."):
                    found = client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
            except SetupError as error:
                cause = error.__cause__
                if isinstance(cause, ClientError):
                    status = cause.response["ResponseMetadata"]["HTTPStatusCode"]
                    if status == 403:
                        continue
                raise
            if not found.get("KeyCount"):
                raise InputError(
                    f"S3: there is no object at {uri}, which the job is to read. Upload the data, "
                    "or correct the configuration."
                )


def open_sagemaker(
    kind: str,
    aws_conn_id: str | None = "aws_default",
    region_name: str | None = None,
    verify: bool | str | None = None,
    botocore_config: Mapping[str, Any] | None = None,
    print_log: bool = True,
    **more: Any,
) -> Backend[Any]:
    """Make the backend of one kind of SageMaker's jobs.

    Args:
        kind: ``TRAINING``, ``TRANSFORM``, ``PROCESSING`` or ``TUNING``.
        aws_conn_id: An AWS connection; None for boto3's own chain.
        region_name: Instead of the connection's.
        verify: Whether to check certificates, or the file with those to trust.
        botocore_config: Arguments of `botocore.config.Config`.
        print_log: Whether logs are read.
        more: Further arguments of `tradewind.systems.sagemaker.backend.SageMakerBackend`.
    """
    from tradewind.systems.sagemaker import backend as sagemaker

    clients = AWS(aws_conn_id, region_name, verify, botocore_config).clients()
    found = getattr(sagemaker, kind)
    return sagemaker.SageMakerBackend(
        kind=found if print_log else found.without_log(), clients=clients, **more
    )


def open_deployments(
    endpoint: str,
    aws_conn_id: str | None = "aws_default",
    region_name: str | None = None,
    verify: bool | str | None = None,
    botocore_config: Mapping[str, Any] | None = None,
    **more: Any,
) -> Backend[Any]:
    """Make the backend of an endpoint's deployments.

    Args:
        endpoint: The endpoint's name.
        aws_conn_id: An AWS connection; None for boto3's own chain.
        region_name: Instead of the connection's.
        verify: Whether to check certificates, or the file with those to trust.
        botocore_config: Arguments of `botocore.config.Config`.
        more: Further arguments of `tradewind.systems.sagemaker.deployment.DeploymentBackend`.
    """
    from tradewind.systems.sagemaker.deployment import DeploymentBackend

    clients = AWS(aws_conn_id, region_name, verify, botocore_config).clients()
    return DeploymentBackend(endpoint, clients=clients, **more)
