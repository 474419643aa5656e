"""What Azure's client raises, told as Tradewind's errors: container, blob and remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tradewind.concealing import concealing
from tradewind.errors import InputError, RetryError, SetupError, TradewindError

__all__ = ["code_of", "translated"]

# https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
_PASSING = {
    "ServerBusy",
    "InternalError",
    "OperationTimedOut",
    "ContainerBeingDeleted",
    "AccountBeingCreated",
    "InvalidBlockList",
    "InvalidBlobOrBlock",
}
_CREDENTIALS = {
    "AuthenticationFailed",
    "InvalidAuthenticationInfo",
    "NoAuthenticationInformation",
    "KeyBasedAuthenticationNotPermitted",
}
_MISSING = {"ContainerNotFound", "ResourceNotFound", "InvalidResourceName", "ContainerDisabled"}


def code_of(error: BaseException) -> str:
    """Azure's name for an error, empty where it has none."""
    code = getattr(error, "error_code", None) or ""
    # A string, or a member of an enumeration of strings.
    return str(getattr(code, "value", code))


@contextmanager
def translated(where: str, doing: str) -> Iterator[None]:
    """Raise what Azure's client raises within as one of Tradewind's errors.

    Args:
        where: The container or the blob.
        doing: What is being done, like ``read``.
    """
    from azure.core.exceptions import AzureError

    with concealing():
        try:
            yield
        except TradewindError:
            raise
        except AzureError as error:
            raise _told(error, where, doing) from error
        except ValueError as error:
            # A key that is not Base64, an address that is none; the text could show it.
            raise SetupError(
                f"{where}: cannot {doing}: the credential or the endpoint is malformed "
                f"({type(error).__name__}). Correct it."
            ) from None


def _told(error: Exception, where: str, doing: str) -> TradewindError:
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

    code, status = code_of(error), getattr(error, "status_code", None)
    said = f"{where}: cannot {doing}: Azure Blob Storage answers {code or status}"
    if isinstance(error, ClientAuthenticationError) and not status:
        return SetupError(
            f"{where}: cannot {doing}: azure-identity has no credentials that work "
            f"({type(error).__name__}). Sign in with `az login`, or name an account key or a SAS."
        )
    if not isinstance(error, HttpResponseError) or status is None:
        return RetryError(
            f"{where}: cannot {doing}: Azure Blob Storage does not answer "
            f"({type(error).__name__}). Look at the network, or try again later."
        )
    if code in _PASSING or status in (408, 429) or status >= 500:
        return RetryError(f"{said}. Try again later.")
    if code in _CREDENTIALS or status == 401:
        return SetupError(f"{said}: the credentials are refused. Give others, or renew them.")
    if status == 403:
        return SetupError(
            f"{said}: no permission. Grant the role Storage Blob Data Contributor, or a SAS that "
            "may list, read, create, write and delete; or give other credentials."
        )
    if code in _MISSING:
        return SetupError(f"{said}. Create the container, or correct its name or the account's.")
    if status == 404:
        return InputError(f"{said}: there is no such blob. Correct its name, or make it.")
    return InputError(f"{said} (status {status}).")
