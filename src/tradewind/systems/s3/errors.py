"""Translate botocore's errors to Tradewind's, with bucket, key and remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tradewind.concealing import concealing
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.redaction import redacted
from tradewind.tls import refusal

__all__ = ["OWN", "TRUST", "ConditionError", "GoneError", "code_of", "told", "translated"]


class ConditionError(InputError):
    """The object exists, or another version of it than was expected."""


class GoneError(RetryError):
    """The multipart upload is not there any more: somebody has aborted it."""


TRUST = "verify (AWS_CA_BUNDLE in the environment)"
OWN = "client_cert of botocore's configuration"
_CREDENTIALS = {
    "AccessKeyIdInvalid",
    "AuthFailure",
    "CredentialMismatch",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_REGION = {
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
    "PermanentRedirect",
    "TemporaryRedirect",
    "301",
    "307",
}
_PERMISSION = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "InvalidPayer", "403"}
_SETUP = {
    "InvalidBucketName": "Correct the name of the bucket.",
    "InvalidBucketState": "Look at the bucket's settings.",
    "InvalidObjectState": "The object is archived: restore it first.",
    "KMS.DisabledException": "Enable the KMS key of the bucket.",
    "KMS.NotFoundException": "Correct the KMS key.",
    "MethodNotAllowed": "The server does not offer this request.",
    "NotImplemented": "The server does not offer this request.",
    "NotSignedUp": "Sign the account up for S3.",
    "RequestTimeTooSkewed": "Set the clock of this machine right.",
    "ServerSideEncryptionConfigurationNotFoundError": "Correct the encryption settings.",
}
_INPUT = {
    "EntityTooLarge",
    "InvalidArgument",
    "InvalidRequest",
    "InvalidStorageClass",
    "InvalidTag",
    "InvalidURI",
    "KeyTooLongError",
    "MetadataTooLarge",
}


def code_of(error: BaseException) -> str:
    """Read S3's code out of a `botocore.exceptions.ClientError`; empty for any other error."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(where: str, doing: str) -> Iterator[None]:
    """Translate what botocore raises within.

    Args:
        where: Bucket, key and server, for the message.
        doing: What is done, like ``write``.
    """
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from urllib3.exceptions import HTTPError

    with concealing():
        try:
            yield
        except (BotoCoreError, ClientError, HTTPClientError, HTTPError, OSError) as error:
            raise told(error, where, doing) from error


def told(error: Exception, where: str, doing: str) -> TradewindError:
    """Translate one error of botocore.

    Args:
        error: What was raised.
        where: Bucket, key and server, for the message.
        doing: What was done.

    Returns:
        The error to raise instead.
    """
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return _told_answer(error, where, doing)
    return _told_failure(error, where, doing)


def _told_answer(error: Any, where: str, doing: str) -> TradewindError:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = redacted(error.response.get("Error", {}).get("Message") or "")
    begin = f"{where}: cannot {doing}: S3 answers {code}"
    end = f" ({said.rstrip('.')})." if said and said != code else "."
    if code == "NoSuchBucket":
        return SetupError(f"{where}: there is no such bucket. Create it, or correct its name.")
    if code == "NoSuchUpload":
        return GoneError(
            f"{where}: the multipart upload is not there any more. Another attempt has taken over, "
            "or somebody aborted it; try again."
        )
    if code in ("NoSuchKey", "404"):
        return InputError(f"{where}: there is no such object. Correct the key.")
    if code in ("PreconditionFailed", "412"):
        return ConditionError(
            f"{where}: the object exists, or was replaced meanwhile. Nothing was written; remove "
            "it or allow to replace it."
        )
    if code in ("ConditionalRequestConflict", "OperationAborted"):
        return RetryError(f"{begin}: another request changes the object just now. Try again.")
    if code in _CREDENTIALS:
        return SetupError(
            f"{begin}{end} Correct the credentials: the Airflow connection, the profile or "
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN."
        )
    if code in _PERMISSION:
        return SetupError(
            f"{begin}{end} Grant these credentials s3:ListBucket, s3:ListBucketMultipartUploads, "
            "s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and "
            "s3:ListMultipartUploadParts here, or give others."
        )
    if code in _REGION:
        region = error.response.get("Error", {}).get("Region")
        named = f" ({region!r})" if region else ""
        return SetupError(
            f"{begin}{end} Set the region of the bucket{named}: region_name of the connection or "
            "AWS_DEFAULT_REGION."
        )
    if code in _SETUP:
        return SetupError(f"{begin}{end} {_SETUP[code]}")
    if code in _INPUT:
        return InputError(f"{begin}{end} Correct the key, metadata or options.")
    if code == "InvalidRange":
        return RetryError(f"{where}: the object has become shorter meanwhile. Try again.")
    if status and 400 <= status < 500 and status not in (408, 409, 425, 429):
        if code in ("BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch"):
            return RetryError(f"{begin}{end} Bytes were lost on their way; try again.")
        if code in ("SlowDown", "Throttling", "RequestLimitExceeded"):
            return RetryError(f"{begin}{end} It is overloaded; try again later.")
        return SetupError(f"{begin} with status {status}{end} Look at the server and its settings.")
    return RetryError(f"{begin} with status {status}{end} Try again later.")


def _told_failure(error: Exception, where: str, doing: str) -> TradewindError:
    from botocore import exceptions as botocore

    name = type(error).__name__
    begin = f"{where}: cannot {doing}: "
    if isinstance(error, botocore.ParamValidationError):
        return InputError(f"{begin}{error} Correct bucket, key, metadata or options.")
    if isinstance(error, botocore.NoRegionError):
        return SetupError(f"{begin}no region is set. Set region_name or AWS_DEFAULT_REGION.")
    if isinstance(
        error,
        botocore.NoCredentialsError
        | botocore.PartialCredentialsError
        | botocore.CredentialRetrievalError
        | botocore.TokenRetrievalError
        | botocore.SSOError
        | botocore.ProfileNotFound
        | botocore.NoAuthTokenError,
    ):
        return SetupError(
            f"{begin}there are no usable AWS credentials ({name}). Give an Airflow connection, "
            "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if isinstance(error, botocore.SSLError):
        text = refusal(error, trust=TRUST, own=OWN)
        return (
            SetupError(f"{begin}TLS failed: {text}.")
            if text is not None
            else RetryError(f"{begin}the connection is in trouble ({error}). Try again.")
        )
    if isinstance(error, botocore.InvalidRegionError | botocore.InvalidEndpointConfigurationError):
        return SetupError(f"{begin}{error} Correct region or endpoint.")
    if isinstance(error, botocore.EndpointConnectionError | botocore.ProxyConnectionError):
        return RetryError(
            f"{begin}nothing answers there. See that the server runs and that endpoint_url, "
            "region and proxy are right; try again."
        )
    return RetryError(f"{begin}the connection is in trouble ({name}). Try again.")
