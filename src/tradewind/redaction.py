"""Redact addresses and texts. Only what is on a list is shown.

Shown are scheme, host, port, path and the values of query parameters known to be harmless
(`HARMLESS`). User, password, fragment and every other value are not. An address that cannot be
read for certain is described without any of its text: in ``postgresql://u:SEC/RET@host/db``, a
``/`` makes of half a password a port. See RFC 3986, section 3.2, for what delimits what.

Over 400 lines: one reading of an address decides what is shown of it and what is hidden.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

from tradewind.errors import InputError
from tradewind.spellings import HIDDEN, hidden

__all__ = [
    "HARMLESS",
    "HIDDEN",
    "environment_secrets",
    "has_password",
    "is_secret_name",
    "redacted",
    "refuse_signed",
    "scheme_of",
    "secrets_of",
    "shown_host",
    "shown_place",
    "shown_uri",
    "split_uri",
    "without_user",
]

# fmt: off
HARMLESS = frozenset((
    # How an API is paged, ordered and cut.
    "page", "per_page", "pagesize", "page_size", "limit", "offset", "start", "end", "size",
    "count", "top", "skip", "$top", "$skip", "sort", "order", "order_by", "direction", "since",
    "until", "from", "to", "date", "start_date", "end_date", "year", "month", "day", "format",
    "lang", "locale", "version", "region", "partnumber", "uploads", "list-type", "max-keys",
    "versionid",
    # How a database is reached.
    "sslmode", "ssl_mode", "ssl", "tls", "connect_timeout", "target_session_attrs", "charset",
    "authsource", "replicaset", "readpreference", "retrywrites", "retryreads", "w", "mode",
    "directconnection", "loadbalanced", "compressors", "connecttimeoutms", "sockettimeoutms",
    "serverselectiontimeoutms", "cache",
))
# fmt: on
"""Query parameters, in lower case, whose values are shown."""

_SECRET_NAME = re.compile(
    r"key|token|secret|passw|pwd|auth|sig|credential|session|cookie|jwt|bearer|conn_", re.IGNORECASE
)
_OBJECTS = frozenset(
    {"s3", "s3a", "s3n", "gs", "gcs", "az", "wasb", "wasbs", "abfs", "abfss", "sftp"}
)
_WEB = frozenset({"http", "https"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]{0,30}):(?=//)")
_HOST = re.compile(
    r"(?:[\w.\-]*|\[[0-9A-Fa-f:.]+(?:%[\w.]+)?\]|%2[Ff][\w.%\-]*|\$\w+)(?::\d{0,5})?"
)
_NAME = re.compile(r"[$\w][\w.\-\[\]]{0,40}")
_VALUE = re.compile(r"[\w.,:+\-]{0,64}")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,30}://[^\s'\"<>()]+")
_DELIMITERS = re.compile(r"[/?#\[\]@:%&=\s]+")
# A code or token that is short, or ends like a file's name, is part of a key: export?code=DE.csv.
_SIGNED = re.compile(
    r"[?&](?:(?:sig|signature|x-(?:amz|goog)-\w[\w\-]*|\w*(?:secret|password|apikey|access_?key)"
    r"\w*)=|(?:code|\w*token\w*)=(?![^&]{0,15}(?:&|$)|[^&]*\.(?:csv|tsv|txt|log|jsonl?|ndjson|xml|"
    r"parquet|avro|orc|xlsx?|zip|gz|zst|bz2)$))",
    re.IGNORECASE,
)
#: Headers of a request that a server repeats, in a sentence or as JSON.
_HEADERS = re.compile(
    r"\b((?:(?:proxy-)?authorization|(?:set-)?cookie|x-(?:\w+-)*(?:token|key|auth|secret|signature))"
    r"[\"']?\s*[:=]\s*[\"'\[]*)(?:(?:basic|bearer|digest|negotiate|token)\s+)?[^\s\"',;\]}]+",
    re.IGNORECASE,
)
#: Signatures of a query that a server repeats without its address.
_SIGNATURES = re.compile(
    r"([?&](?:sig|signature|x-(?:amz|goog)-(?:signature|security-token|credential))=)[^&\s\"'<>]+",
    re.IGNORECASE,
)
#: Passwords by name, as in JSON and in addresses of libpq and ODBC: ``password='a b'``, ``PWD=x;``.
_NAMED = re.compile(
    r"""(\b(?:password|passwd|pwd|client_secret|(?:refresh|access|id)_token|assertion)="""
    r"""|(["'])(?:password|passwd|pwd|client_secret|(?:refresh|access|id)_token)\2\s*:\s*)"""
    r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\{[^}]*\}|[^\s;&,'"{}]+)""",
    re.IGNORECASE,
)
#: Command lines of clients, which people put where an address belongs: ``mysql -pSECRET db``.
_COMMANDS = re.compile(
    r"""(\b(?:mysql|mariadb)[\w\-]*[^\n:]*?\s['"]?-p|\b(?:sshpass|mongo\w*)\b[^\n:]*?\s-p[ =]?"""
    r"""|\bcurl\b[^\n]*?\s(?:-u|--user)[ =]?[^\s:]*:|--(?:password|passwd|pass|pwd)[ =])"""
    r"""(?:'[^']*'|"[^"]*"|[^\s'"]+)""",
    re.IGNORECASE,
)
#: Of Airflow's connections; they look like names of secrets.
_PLAIN = frozenset({"conn_type", "conn_id", "auth_type", "authentication_type", "authMechanism"})
_ENVIRONMENT = ("PGPASSWORD", "MYSQL_PWD")
#: Azure's connection strings, and the fields that may be shown; each other one may be a secret.
_CONNECTION_STRING = re.compile(r"\s*(?:[A-Za-z][A-Za-z ]*=[^;]*(?:;\s*|$))+")
_PLAIN_FIELD = re.compile(
    r"DefaultEndpointsProtocol|AccountName|EndpointSuffix|\w+Endpoint|UseDevelopmentStorage",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a header, parameter, option or variable of this name may hold a secret."""
    return _SECRET_NAME.search(name) is not None


def scheme_of(uri: str) -> str:
    """The scheme in lower case; empty where there is none. Never fails, unlike `urlsplit`."""
    found = _SCHEME.match(uri)
    return found[1].lower() if found else ""


def _divided(uri: str) -> tuple[str, str, str, str] | None:
    """Scheme, user information, hosts and the rest; None where they cannot be told for certain."""
    scheme = scheme_of(uri)
    if not scheme or any(ord(letter) < 32 for letter in uri):
        return None
    after = uri[len(scheme) + 3 :]
    end = next((at for at, letter in enumerate(after) if letter in "/?#"), len(after))
    if scheme in _OBJECTS:
        end = after.find("/") if "/" in after else len(after)
    authority, rest = after[:end], after[end:]
    user, at, hosts = authority.rpartition("@")
    if scheme.startswith(("wasb", "abfs")) and at and ":" not in user:
        user, hosts, at = "", hosts, ""
    if "@" in user and not scheme.startswith("http"):
        # More than one: a client library may see another host than we do.
        return None
    if not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        return None
    if "@" in rest:
        before = rest[: rest.rfind("@")]
        if scheme in _OBJECTS:
            doubtful = ":" in authority or (re.search(r":[^@]*@", rest) is not None and not user)
        elif scheme in _WEB:
            doubtful = (
                bool(at) or ":" in authority or ":" in before or bool(re.search(r"[^/]@", rest))
            )
        elif scheme.startswith(("file", "sqlite", "unix")):
            doubtful = bool(at) or ":" in authority
        else:
            path, _, query = rest.partition("?")
            pairs = [pair for pair in query.split("&") if "@" in pair]
            doubtful = (
                "@" in path
                or (":" in authority and not at)
                or not all(re.fullmatch(r"\w+=[^/?#]*", pair) for pair in pairs)
            )
        if doubtful:
            return None
    return scheme, user, hosts, rest


def shown_place(place: str) -> str:
    """Name a place, which may be a URI, without what may be secret in it: user, password, query."""
    return shown_uri(place).partition("?")[0].replace(f"{HIDDEN}@", "")


def shown_uri(uri: str) -> str:
    """Show an address without what may be secret.

    Args:
        uri: Any text that is meant to be an address; a name without ``://`` is shown as it is.

    Returns:
        Scheme, host, port, path and harmless parameters; ``scheme://***`` where it cannot be told
        for certain which part is which.
    """
    if "://" not in uri:
        return uri if "@" not in uri and "\n" not in uri else HIDDEN
    divided = _divided(uri)
    if divided is None:
        return f"{scheme_of(uri)}://{HIDDEN}" if scheme_of(uri) else HIDDEN
    scheme, user, hosts, rest = divided
    begin = f"{scheme}://{HIDDEN + '@' if user else ''}{hosts}"
    if scheme in _OBJECTS and not _SIGNED.search(rest):
        return begin + rest  # Keys may hold all of these.
    path, question, query = rest.partition("#")[0].partition("?")
    if scheme in _WEB:
        path = "/".join(part.partition(";")[0] for part in path.split("/"))
    return begin + path + (f"?{_shown_query(query)}" if question and query else "")


def _shown_query(query: str) -> str:
    shown = []
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        plain = unquote_plus(name)
        if not equals or not _NAME.fullmatch(plain):
            shown.append(HIDDEN)
        elif plain.lower() in HARMLESS and _VALUE.fullmatch(unquote_plus(value)):
            shown.append(pair)
        else:
            shown.append(f"{name}={HIDDEN}")
    return "&".join(shown)


def shown_host(uri: str) -> str:
    """Host and port of an address; ``***`` where they cannot be told for certain."""
    divided = _divided(uri)
    return (divided[2] or HIDDEN) if divided else HIDDEN


def split_uri(uri: str, system: str, form: str) -> SplitResult:
    """Take an address apart as `urlsplit` does, and refuse one that means several things.

    Args:
        uri: The address.
        system: Who refuses, for the message.
        form: How it is written, for the message.

    Returns:
        Its parts; ``port`` can be read without fear.

    Raises:
        InputError: It cannot be read for certain; the message has none of its text.
    """
    try:
        # An address of the web may have any '@' in its path: it is shown less, not refused.
        known, scheme = uri, scheme_of(uri)
        if scheme in _WEB:
            known = f"{scheme}://{re.split('[/?#]', uri[len(scheme) + 3 :])[0]}"
        if _divided(known) is None:
            raise ValueError
        parts = urlsplit(uri)
        if "," not in parts.netloc:
            _ = parts.port
    except ValueError:
        raise InputError(
            f"{system}: the URI cannot be read; it is not shown, as it may hold a password. Write "
            f"{form}, and in user, password and values / ? # [ ] @ : % and spaces as %2F %3F %23 "
            "%5B %5D %40 %3A %25 %20."
        ) from None
    return parts


def without_user(uri: str, system: str, form: str) -> str:
    """Take user and password out of an address, for a client that has no use for them but logs it.

    Args:
        uri: The address.
        system: As `split_uri` takes it.
        form: As `split_uri` takes it.

    Raises:
        InputError: It cannot be read for certain.
    """
    if "@" not in uri:
        return uri
    parts = split_uri(uri, system, form)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def refuse_signed(uri: str) -> None:
    """Refuse a signed address of an object: its signature would become part of a key, and shown.

    Args:
        uri: ``s3://bucket/key`` and the like, where a key may hold ``?``.

    Raises:
        InputError: It ends in a query with a signature or a token.
    """
    if _SIGNED.search(uri):
        raise InputError(
            f"{scheme_of(uri)}: the URI has a signature or a token behind its key, which is "
            "not shown. Name the object alone, and give credentials in the connection or the "
            "environment; a signed address is moved as https://. To read objects whose names have "
            "it, write [?] and [&] for ? and & in them."
        )


def secrets_of(uri: str) -> set[str]:
    """What of an address is not to be shown, in pieces: for texts that others made of it.

    Args:
        uri: The address.

    Returns:
        The pieces, as written and decoded; of an address that cannot be read, all its pieces.
    """
    if "://" not in uri:
        return set()
    divided = _divided(uri)
    if divided is None:
        after = uri.partition("://")[2]
        return {one for piece in (after, unquote(after)) for one in _pieces(piece)}
    scheme, user, _, rest = divided
    name, _, password = user.partition(":")
    found = {password, unquote(password)} if password else {name, unquote(name)}
    if not password and scheme not in _OBJECTS and scheme not in _WEB:
        # Many a database is called like its user, and is shown by its name.
        found -= set(rest.partition("?")[0].split("/"))
    if scheme in _OBJECTS and not _SIGNED.search(rest):
        rest = ""
    for pair in rest.partition("?")[2].replace("#", "&").split("&"):
        key, equals, value = pair.partition("=")
        if equals and unquote_plus(key).lower() not in HARMLESS:
            found |= {value, unquote(value), unquote_plus(value)}
    return {one for one in found if one}


def has_password(uri: str) -> bool:
    """Whether an address holds a password or a token; also where that cannot be told.

    A user alone is a token on the web, and no secret anywhere else.
    """
    if "://" not in uri:
        return False
    divided = _divided(uri)
    if divided is None:
        return True
    scheme, user, _, rest = divided
    if scheme in _OBJECTS and not _SIGNED.search(rest):
        rest = ""
    named = [pair.partition("=") for pair in rest.partition("?")[2].split("&")]
    return bool(user.partition(":")[2] or (user and scheme in _WEB)) or any(
        value and is_secret_name(plain := unquote_plus(name)) and plain.lower() not in HARMLESS
        for name, _, value in named
    )


def _pieces(text: str) -> set[str]:
    return {text, *_DELIMITERS.split(text)}


def environment_secrets(environment: Mapping[str, str] | None = None) -> set[str]:
    """Secrets that systems' own tools, Airflow and Tradewind read from the environment.

    Args:
        environment: Its variables; those of this process when not given.
    """
    found: set[str] = set()
    for name, value in (os.environ if environment is None else environment).items():
        if name.startswith("AIRFLOW_CONN_"):
            found |= _in_json(value) if value.lstrip().startswith("{") else secrets_of(value)
        elif name in _ENVIRONMENT or (
            name.startswith(("AWS_", "AZURE_", "TRADEWIND_", "MONGODB_", "GOOGLE_"))
            and re.search(r"PASSWORD|SECRET|TOKEN|_KEY$|CONNECTION_STRING", name)
            and not name.endswith("_FILE")
        ):
            found |= {value} | _in_connection_string(value)
    return found


def _in_connection_string(text: str) -> set[str]:
    found: set[str] = set()
    for pair in text.split(";") if _CONNECTION_STRING.fullmatch(text) else ():
        name, _, value = pair.strip().partition("=")
        found |= secrets_of(value) if _PLAIN_FIELD.fullmatch(name) else {value}
    return found - {""}


def _in_json(text: str) -> set[str]:
    try:
        told = json.loads(text)
    except ValueError:
        # It cannot be told which names they have.
        strings = re.finditer(r'"((?:[^"\\]|\\.)*)"(\s*:)?', text)
        return _pieces(text) | {one[1] for one in strings if not one[2]}
    found: set[str] = set()
    waiting = [("", told)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(str(key), one) for key, one in value.items()]
        elif isinstance(value, list):
            waiting += [(name, one) for one in value]
        elif isinstance(value, str) and value.lstrip().startswith("{"):
            # Airflow takes ``extra`` as text, too.
            found |= _in_json(value)
        elif isinstance(value, str) and name not in _PLAIN and name.lower() not in HARMLESS:
            if is_secret_name(name):
                found.add(value)
            elif _CONNECTION_STRING.fullmatch(value):
                found |= {value} | _in_connection_string(value)
            else:
                found |= secrets_of(value)
    return found


def redacted(text: str, *, uris: Iterable[str] = (), secrets: Iterable[str] = ()) -> str:
    """Take what may be secret out of a text that somebody else made, like a library's error.

    Args:
        text: The text.
        uris: Addresses that may stand in it, whole or in pieces.
        secrets: Further secrets. Each is found as it is, percent-encoded, in base64, and as Python,
            JSON, HTML and XML write it. Those of under 4 characters are hidden only where they
            stand alone, as in ``:ab@``: elsewhere they would take words apart.

    Returns:
        The text with ``***`` in their places and in those of what is named as a password (in a
        command line too), a header of credentials or a signature; each address in it is shown by
        `shown_uri`.
    """
    known = set(secrets)
    for uri in uris:
        if "://" in uri:
            text = text.replace(uri, shown_uri(uri))
        known |= secrets_of(uri)
    text = hidden(text, known)
    text = _HEADERS.sub(rf"\1{HIDDEN}", _IN_TEXT.sub(_in_text, text))
    text = _NAMED.sub(rf"\1{HIDDEN}", _SIGNATURES.sub(rf"\1{HIDDEN}", text))
    return _COMMANDS.sub(rf"\1{HIDDEN}", text)


def _in_text(found: re.Match[str]) -> str:
    uri = found[0].rstrip(".,:;!")
    if not re.search(r"[@?#]", uri.partition("://")[2]):
        return found[0]
    return shown_uri(uri) + found[0][len(uri) :]
