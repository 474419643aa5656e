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
    at: object = credentials
    while at is not None:
        remember_fields(at, *_FIELDS)
        # Who acts as another has credentials of its own behind them: impersonation, federation.
        fields = getattr(at, "__dict__", {})
        at = fields.get("_source_credentials") or fields.get("_impersonated_credentials")
    keep_secrets_out_of_logs("google", "urllib3", "requests")
