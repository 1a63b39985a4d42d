"""What `up`, `chaos` and `reconnect` are told alike."""

import argparse
import os
import pathlib

from .members import ROOT, Options

STORES = ("real", "redis", "disk")
STORES_HELP = "real: Redis, Kafka and Cassandra; disk: each owner has its slots on a disk of its own; redis: so, with Redis"


def add_options(parser: argparse.ArgumentParser) -> None:
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = os.environ.get("THRONG", target / "release" / "throng")
    parser.add_argument("--throng", type=pathlib.Path, default=program, help="the program (%(default)s)")
    parser.add_argument("--run", type=pathlib.Path, default="/tmp/throng-cluster", help="state, data, logs (%(default)s)")
    parser.add_argument("--net", type=int, default=98, help="10.NET.0.0/16 is the cluster's (%(default)s)")
    parser.add_argument("--base", type=int, default=22000, help="the first port of the stores (%(default)s)")
    parser.add_argument("--stores", choices=STORES, default="real", help=STORES_HELP)
    parser.add_argument("--no-namespaces", action="store_true", help="on loopback; nothing can be partitioned")
    parser.add_argument("--admissions", type=int, default=0, help="logins a second at all edges; 0: as many as come (%(default)s)")
    for role in ("edges", "sessions", "routers"):
        parser.add_argument(f"--{role}", type=int, default=2, help="how many (%(default)s)")


def options(arguments: argparse.Namespace) -> Options:
    return Options(
        run=arguments.run,
        throng=arguments.throng.resolve(),
        net=arguments.net,
        base=arguments.base,
        stores=arguments.stores,
        namespaces=not arguments.no_namespaces,
        edges=arguments.edges,
        sessions=arguments.sessions,
        routers=arguments.routers,
        admissions=arguments.admissions,
    )
