"""OpenStack Swift as an S3 server in one process: ``python -m tradewind.systems.s3.swift``.

The server is Swift's own (https://docs.openstack.org/swift/latest/): its proxy with the S3 API
(https://docs.openstack.org/swift/latest/s3_compat.html) and its account, container and object
servers, which a production site spreads over many machines. Here one event loop runs all four, on
loopback, with one copy of everything in one folder.

What is not Swift is this file, which chooses ports and writes the configuration, and what it gives
Swift by `tradewind.systems.s3.swift_filters`, `tradewind.systems.s3.swift_conditions` and
`tradewind.systems.s3.swift_parts`. When the server answers,
one line of JSON on stdout says where: ``{"endpoint": "http://127.0.0.1:PORT"}``. The key pair that
it accepts comes from ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY`` and is not written
anywhere.
"""

from __future__ import annotations

import argparse
import configparser
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import eventlet
import eventlet.hubs
import eventlet.wsgi
from swift.common import constraints, utils, wsgi
from swift.common.internal_client import InternalClient
from swift.common.ring import RingBuilder
from swift.common.utils import logs
from swift.obj.server import global_conf_callback

from tradewind.systems.s3.swift_conditions import add_conditions
from tradewind.systems.s3.swift_filters import ACCOUNT, WsgiApp, show_as_insider
from tradewind.systems.s3.swift_parts import sweep

__all__ = ["main"]

_FILTERS = "tradewind.systems.s3.swift_filters"
_DEVICE = "device"
_STORAGE = ("account", "container", "object")
# Patience, where a production proxy would rather ask another copy: there is none.
_PATIENCE = {
    "conn_timeout": "20",
    "node_timeout": "120",
    "container_update_timeout": "120",
    "post_quorum_timeout": "20",
    "error_suppression_limit": "1000000000",
}


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m tradewind.systems.s3.swift", description=__doc__
    )
    parser.add_argument("--folder", type=Path, required=True, help="folder for data and settings")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--region", default="eu-west-1")
    arguments = parser.parse_args()
    logs.ThreadSafeSysLogHandler = _log_to_stderr
    utils.monkey_patch()
    show_as_insider()
    add_conditions()
    eventlet.hubs.use_hub(utils.get_hub())
    # Swift expects to run in UTC, as its own start script sees to.
    os.environ["TZ"] = "UTC+0"
    time.tzset()

    settings = arguments.folder / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    devices = arguments.folder / "objects"
    (devices / _DEVICE).mkdir(parents=True, exist_ok=True)
    listening = {
        name: wsgi.get_socket({"bind_ip": arguments.host, "bind_port": port, "bind_timeout": 1})
        for name, port in [*((name, 0) for name in _STORAGE), ("proxy", arguments.port)]
    }
    ports = {name: socket.getsockname()[1] for name, socket in listening.items()}
    _write_settings(settings, devices, arguments.host, ports, arguments.region)
    utils.set_swift_dir(str(settings))
    utils.disable_fallocate()
    apps = {name: _load(settings / f"{name}.conf", name) for name in listening}
    servers = [eventlet.spawn(_serve, listening[name], apps[name]) for name in _STORAGE]
    client = InternalClient(str(settings / "internal.conf"), "tradewind", request_tries=1)
    if removed := sweep(client, ACCOUNT):
        print(f"removed {removed} parts that no object was made of", file=sys.stderr)
    endpoint = f"http://{arguments.host}:{ports['proxy']}"
    servers.append(eventlet.spawn(_serve, listening["proxy"], apps["proxy"]))
    print(json.dumps({"endpoint": endpoint}), flush=True)
    for server in servers:
        server.wait()


def _log_to_stderr(*_: Any, **__: Any) -> logging.Handler:
    return logging.StreamHandler(sys.stderr)


def _write_settings(
    settings: Path, devices: Path, host: str, ports: dict[str, int], region: str
) -> None:
    _write(
        settings / "swift.conf",
        {
            # They scatter objects over a ring; a change would hide everything stored before.
            "swift-hash": {"swift_hash_path_prefix": "tradewind", "swift_hash_path_suffix": "1"},
            "storage-policy:0": {"name": "one-copy", "default": "yes"},
        },
    )
    common = {
        "swift_dir": str(settings),
        "devices": str(devices),
        "mount_check": "false",
        "fallocate_reserve": "0",
        "log_level": "WARNING",
        **_PATIENCE,
    }
    for name in _STORAGE:
        ring = RingBuilder(part_power=1, replicas=1, min_part_hours=0)
        place = {"ip": host, "port": ports[name]}
        replication = {"replication_ip": host, "replication_port": ports[name]}
        ring.add_dev(
            {"region": 1, "zone": 1, "device": _DEVICE, "weight": 1.0, **place, **replication}
        )
        ring.rebalance()
        ring.get_ring().save(str(settings / f"{name}.ring.gz"))
        _write(
            settings / f"{name}.conf",
            {
                "DEFAULT": common,
                "pipeline:main": {"pipeline": f"insiders-only {name}-server"},
                "filter:insiders-only": {
                    "paste.filter_factory": f"{_FILTERS}:insiders_only_factory"
                },
                f"app:{name}-server": {"use": f"egg:swift#{name}"},
            },
        )
    filters = {
        "catch_errors": {"use": "egg:swift#catch_errors"},
        "cache": {"paste.filter_factory": f"{_FILTERS}:cache_factory"},
        "listing_formats": {"use": "egg:swift#listing_formats"},
        "bulk": {"use": "egg:swift#bulk"},
        "s3api": {
            "use": "egg:swift#s3api",
            "location": region,
            "max_upload_part_num": "10000",
            "s3_acl": "false",
        },
        "tempauth": {"paste.filter_factory": f"{_FILTERS}:key_pair_factory"},
        "copy": {"use": "egg:swift#copy"},
        "slo": {
            "use": "egg:swift#slo",
            "max_manifest_segments": "10000",
            # Parts go with their object at once; otherwise they wait for a daemon not run here.
            "allow_async_delete": "false",
        },
        "dlo": {"use": "egg:swift#dlo"},
    }
    proxy = {
        "use": "egg:swift#proxy",
        "account_autocreate": "true",
        "object_chunk_size": str(1 << 20),
        "client_chunk_size": str(1 << 20),
    }
    # The pipeline that clients go through, and a plain one for this process itself.
    for name, chosen in (("proxy", list(filters)), ("internal", ["catch_errors", "cache"])):
        _write(
            settings / f"{name}.conf",
            {
                "DEFAULT": common,
                "pipeline:main": {"pipeline": f"{' '.join(chosen)} proxy-server"},
                "app:proxy-server": proxy,
                **{f"filter:{part}": filters[part] for part in chosen},
            },
        )


def _write(path: Path, sections: dict[str, dict[str, str]]) -> None:
    parser = configparser.RawConfigParser()
    parser.read_dict(sections)
    with path.open("w") as file:
        parser.write(file)


def _load(configuration: Path, name: str) -> WsgiApp:
    global_conf = {"log_name": name}
    if name == "object":
        global_conf_callback({}, global_conf)
    app: WsgiApp = wsgi.loadapp(str(configuration), global_conf=global_conf)
    return app


def _serve(socket: Any, app: WsgiApp) -> None:
    """Do what `swift.common.wsgi.run_server` does, which cannot share its event loop."""
    eventlet.wsgi.server(
        socket,
        app,
        wsgi.NullLogger(),
        custom_pool=wsgi.RestrictedGreenPool(size=1024),
        protocol=wsgi.SwiftHttpProtocol,
        socket_timeout=60,
        # S3 clients look for "ETag", eventlet would make "Etag" of it.
        capitalize_response_headers=False,
        url_length_limit=constraints.MAX_REQUEST_LINE,
    )


if __name__ == "__main__":
    main()
