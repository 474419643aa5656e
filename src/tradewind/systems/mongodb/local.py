"""MongoDB: one server as a replica set of its own, so that snapshots and transactions work."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradewind.errors import SetupError
from tradewind.local.processes import free_port
from tradewind.local.system import Context, Credentials, Offer, System

if TYPE_CHECKING:
    from pymongo import MongoClient

__all__ = ["SYSTEM", "MongoDB"]

USER = "tradewind"
"""The login, which may do everything, and the name of its database."""

_REMEDY = "Install it with: pip install 'tradewind[local-mongodb]'"
_SET = "tradewind"


class MongoDB(System):
    """A MongoDB server whose one login has a generated password."""

    name = "mongodb"
    summary = "MongoDB, a replica set of one, with a login `tradewind`"
    default_port = 27017
    role = "mongodb"

    def check(self) -> None:
        """Look for the server and for the client that sets it up."""
        self._program()
        if importlib.util.find_spec("pymongo") is None:
            raise SetupError(
                f"{self.name}: the Python module 'pymongo' is not installed. {_REMEDY}"
            )

    def start(self, context: Context) -> Offer:
        """Start the server, make it a replica set, give the login its password."""
        data = context.folder / "db"
        data.mkdir(exist_ok=True)
        key = _key(context.credentials)
        key_file = context.folder / "key"
        key_file.unlink(missing_ok=True)
        with open(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(key)
        port = context.port or free_port()
        child = context.children.start(
            [
                self._program(),
                f"--dbpath={data}",
                f"--bind_ip={context.host}",
                f"--port={port}",
                "--nounixsocket",
                f"--replSet={_SET}",
                "--oplogSize=128",
                f"--keyFile={key_file}",
                "--wiredTigerCacheSizeGB=0.25",
                # Small log files: it would keep 200 MB ready in each new folder.
                "--wiredTigerEngineConfigString=log=(file_max=16MB)",
                "--setParameter=diagnosticDataCollectionEnabled=false",
                # No way in without a password, not even to make the first login.
                "--setParameter=enableLocalhostAuthBypass=false",
                # It waits for nobody: there is no other member.
                "--setParameter=shutdownTimeoutMillisForSignaledShutdown=0",
            ],
            cwd=context.folder,
        )
        address = f"{context.host}:{port}"
        from pymongo.errors import PyMongoError

        try:
            with _as_member(address, key) as client:
                child.wait_ready(lambda: _answers(client), seconds=context.start_timeout)
                _join(client, address)
                child.wait_ready(lambda: _may_write(client), seconds=context.start_timeout)
                _admit(client, context.credentials)
        except PyMongoError as error:
            raise SetupError(
                f"{self.name}: it could not be set up: {error}. Its log is {child.log}."
            ) from error
        return _offer(context.host, port, context.credentials)

    def _program(self) -> str:
        found = shutil.which("mongod")
        if found is not None:
            return found
        # The package's own modules are not imported: only its program is wanted.
        package = importlib.util.find_spec("fiftyone")
        for folder in (package.submodule_search_locations or []) if package else []:
            program = Path(folder) / "db" / "bin" / "mongod"
            if program.exists():
                return str(program)
        raise SetupError(f"{self.name}: the program 'mongod' is not installed. {_REMEDY}")


def _key(credentials: Credentials) -> str:
    """The key by which members of the set know each other, made from the data folder's secret."""
    secret = f"mongodb {credentials.secret_access_key}".encode()
    return base64.b64encode(hashlib.sha512(secret).digest()).decode()


def _as_member(address: str, key: str) -> MongoClient[dict[str, Any]]:
    """A client that comes in as another member would, with the key: it may do everything.

    Source: MongoDB's src/mongo/db/auth/sasl_options_init and the user ``__system`` of ``local``.
    """
    from pymongo import MongoClient

    return MongoClient(
        f"mongodb://{address}",
        username="__system",
        password=key,
        authSource="local",
        directConnection=True,
        serverSelectionTimeoutMS=200,
    )


def _answers(client: MongoClient[dict[str, Any]]) -> bool:
    from pymongo.errors import ConnectionFailure

    try:
        client.admin.command("ping")
    except ConnectionFailure:
        return False
    return True


def _may_write(client: MongoClient[dict[str, Any]]) -> bool:
    return bool(client.admin.command("hello")["isWritablePrimary"])


def _join(client: MongoClient[dict[str, Any]], address: str) -> None:
    """Make it the one member of its set, also where its port was another one before."""
    from pymongo.errors import OperationFailure

    not_yet_initialized = 94
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != not_yet_initialized:
            raise
        config = {"_id": _SET, "members": [{"_id": 0, "host": address}]}
        client.admin.command("replSetInitiate", config)
        return
    if config["members"][0]["host"] != address:
        config["members"][0]["host"] = address
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)


def _admit(client: MongoClient[dict[str, Any]], credentials: Credentials) -> None:
    login: dict[str, Any] = {"pwd": credentials.secret_access_key, "roles": ["root"]}
    known = client.admin.command("usersInfo", USER)["users"]
    client.admin.command("updateUser" if known else "createUser", USER, **login)


def _offer(host: str, port: int, credentials: Credentials) -> Offer:
    password = credentials.secret_access_key
    return Offer(
        endpoint=f"mongodb://{host}:{port}",
        environment={
            "MONGODB_URI": f"mongodb://{USER}@{host}:{port}/{USER}?authSource=admin",
            "MONGODB_PASSWORD": password,
        },
        connections={
            "mongo_default": {
                "conn_type": "mongo",
                "host": host,
                "port": port,
                "login": USER,
                "password": password,
                "schema": USER,
                "extra": {"authSource": "admin"},
            }
        },
        notes={"login": USER, "database": USER},
    )


SYSTEM = MongoDB()
