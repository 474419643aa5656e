"""What of Google's credentials no text may tell, for all systems of Google."""

from __future__ import annotations

from tradewind.concealing import keep_secrets_out_of_logs
from tradewind.spellings import remember_fields

__all__ = ["remember_credentials"]

#: Of the kinds in google-auth; tokens are renewed meanwhile.
_FIELDS = ("token", "_refresh_token", "_client_secret", "_rapt_token", "_id_token")


def remember_credentials(credentials: object) -> None:
    """Keep tokens and keys out of errors and of the logs of Google's libraries.

    Args:
        credentials: `google.auth.credentials.Credentials`.
    """
    remember_fields(credentials, *_FIELDS)
    source = getattr(credentials, "_source_credentials", None)
    if source is not None:
        remember_fields(source, *_FIELDS)
    keep_secrets_out_of_logs("google", "urllib3", "requests")
