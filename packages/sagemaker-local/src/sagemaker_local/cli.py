"""The command ``sagemaker-local``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sagemaker_local.errors import SageMakerLocalError, SetupError
from sagemaker_local.unpacked import DEFAULT, VARIABLE

__all__ = ["main"]

_EXAMPLES = """\
examples:
  sagemaker-local serve --s3-endpoint http://127.0.0.1:9000
      on an S3 server of this machine, with the credentials that boto3 would find
  AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=secret \\
  sagemaker-local serve --s3-endpoint http://127.0.0.1:9000 --port 9010 --data state
      with credentials and a place for the state of their own
  sagemaker-local serve --profile minio --container-engine none
      credentials of a profile in ~/.aws; images that are not built in are refused

Clients find it by their environment; boto3's are these:
  export AWS_ENDPOINT_URL_SAGEMAKER=http://127.0.0.1:9010
  export AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=http://127.0.0.1:9010
  export AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=http://127.0.0.1:9010
  export AWS_ENDPOINT_URL_STS=http://127.0.0.1:9010 AWS_ENDPOINT_URL_IAM=http://127.0.0.1:9010
  export AWS_ENDPOINT_URL_S3=http://127.0.0.1:9000

When it is ready it prints one line of JSON, {"endpoint": "http://127.0.0.1:9010"}; its log goes to
stderr. Ctrl-C or SIGTERM ends it and all that it has started.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Of the command line; those of the process when None.

    Returns:
        The exit code: 0 after a graceful end, 1 when the service could not start.
    """
    options = _parse(arguments)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        return _serve(options)
    except SageMakerLocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    environment = os.environ.get
    s3_endpoint = environment("AWS_ENDPOINT_URL_S3") or environment("AWS_ENDPOINT_URL")
    region = environment("AWS_REGION") or environment("AWS_DEFAULT_REGION") or "eu-west-1"
    parser = argparse.ArgumentParser(
        prog="sagemaker-local",
        description="Amazon SageMaker's API on this machine, with real training and serving.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="run the service until Ctrl-C",
        description="Run the service: SageMaker, its runtime, CloudWatch Logs, STS and IAM on one "
        "port. Data and models lie on an S3 server, which has to run already.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument(
        "--s3-endpoint",
        metavar="URL",
        required=not s3_endpoint,
        default=s3_endpoint,
        help="the S3 server; that of AWS_ENDPOINT_URL_S3 by default",
    )
    serve.add_argument(
        "--profile",
        help="take the S3 server's credentials from this profile of ~/.aws; by default they are "
        "what boto3 finds: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, ~/.aws",
    )
    serve.add_argument(
        "--data",
        metavar="FOLDER",
        type=Path,
        default=Path(".sagemaker-local"),
        help="where all state is kept (default: %(default)s in the folder you are in)",
    )
    serve.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)"
    )
    serve.add_argument(
        "--port",
        type=int,
        default=9010,
        help="the port (default: %(default)s); 0 takes a free one",
    )
    serve.add_argument(
        "--region",
        default=region,
        help="the AWS region to play; AWS_REGION or AWS_DEFAULT_REGION, or else eu-west-1",
    )
    serve.add_argument(
        "--account",
        default="123456789012",
        help="the AWS account to play (default: %(default)s)",
    )
    serve.add_argument(
        "--container-engine",
        default="auto",
        metavar="auto|none|unix:///PATH",
        help="Docker or podman, for images that are not built in (default: %(default)s)",
    )
    serve.add_argument(
        "--trainers",
        metavar="N",
        type=int,
        default=os.cpu_count() or 1,
        help="how many training jobs run at once; as many as there are cores by default",
    )
    serve.add_argument(
        "--max-model-bytes",
        metavar="BYTES",
        type=int,
        default=environment(VARIABLE) or DEFAULT,
        help=f"how large a model's archive may become unpacked; {VARIABLE}, or else %(default)s",
    )
    options = parser.parse_args(arguments)
    if len(options.account) != 12 or not options.account.isdigit():
        serve.error(f"--account must have 12 digits, not {options.account!r}")
    if options.trainers < 1:
        serve.error("--trainers must be at least 1")
    if options.max_model_bytes < 1:
        serve.error("--max-model-bytes must be at least 1")
    return options


def _serve(options: argparse.Namespace) -> int:
    _take_credentials(options.s3_endpoint, options.profile)
    # Models are loaded by other processes, too.
    os.environ[VARIABLE] = str(options.max_model_bytes)
    # Only now: `--help` should not wait for all that a server is made of.
    from sagemaker_local.server import serve
    from sagemaker_local.service import Settings

    settings = Settings(
        data=options.data.resolve(),
        s3_endpoint=options.s3_endpoint,
        region=options.region,
        account=options.account,
        engine=options.container_engine,
        trainers=options.trainers,
    )
    return 0 if serve(settings, host=options.host, port=options.port) else 1


def _take_credentials(endpoint: str, profile: str | None) -> None:
    """Put the S3 server's credentials where the service and its training processes read them.

    Args:
        endpoint: The S3 server, for the message.
        profile: Name of the profile to take them from; None: as boto3 finds them.

    Raises:
        SetupError: There are none.
    """
    import botocore.exceptions
    import botocore.session

    try:
        session = botocore.session.Session(profile=profile)
        resolver = session.get_component("credential_provider")
        # A machine's own role in the cloud has no say on an S3 server, and asking takes seconds.
        for provider in ("container-role", "iam-role"):
            resolver.remove(provider)
        found = session.get_credentials()
        credentials = found.get_frozen_credentials() if found else None
    except botocore.exceptions.BotoCoreError as error:
        raise SetupError(f"No credentials for the S3 server {endpoint}: {error}") from error
    if credentials is None or not credentials.access_key or not credentials.secret_key:
        raise SetupError(
            f"No credentials for the S3 server {endpoint}. Set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws with --profile."
        )
    os.environ["AWS_ACCESS_KEY_ID"] = credentials.access_key
    os.environ["AWS_SECRET_ACCESS_KEY"] = credentials.secret_key
    os.environ.pop("AWS_SESSION_TOKEN", None)
    if credentials.token:
        os.environ["AWS_SESSION_TOKEN"] = credentials.token
