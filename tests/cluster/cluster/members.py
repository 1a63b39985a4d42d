"""The cluster: its configuration, its members, and a file that says who they are."""

import dataclasses
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from .metrics import ask
from .pods import Loopback, Namespaces, allowed
from .stores import Infra
from .supervisor import Process, Supervisor

ROOT = pathlib.Path(__file__).resolve().parents[3]
DOMAIN = "localhost"
SLOTS = 4096
# A role's first pod has this number; every pod has the same ports at an address of its own.
FIRST = {"edge": 11, "session": 31, "router": 51}
CLIENTS, HTTP, SESSION, ROUTER, METRICS = 5222, 5280, 5290, 5291, 9090
PATIENCE_S = 60
# Pods of one role at most, now and later: the owners and routers that could be are listed.
MEMBERS_MAX = 4
# An edge lets in so many at once after a quiet time.
LOGINS_BURST = 100


@dataclasses.dataclass
class Options:
    """What a cluster is made of."""

    run: pathlib.Path
    throng: pathlib.Path
    net: int = 98
    base: int = 22000
    stores: str = "real"
    namespaces: bool = True
    edges: int = 2
    sessions: int = 2
    routers: int = 2
    # Logins and resumptions a second at all edges; 0: as many as come.
    admissions: int = 0


@dataclasses.dataclass
class Member:
    role: str
    name: str
    address: str
    process: Process

    def told(self) -> dict:
        """As the state file has it."""
        ports = {"edge": {"clients": CLIENTS, "http": HTTP}, "session": {"wire": SESSION}, "router": {"wire": ROUTER}}
        return {
            "role": self.role,
            "name": self.name,
            "address": self.address,
            "ports": {**ports[self.role], "metrics": METRICS},
            "pid": self.process.pid,
            "starts": self.process.starts,
            "log": str(self.process.log),
        }


class Cluster:
    """Two of each role over the stores, until it is told to go."""

    def __init__(self, options: Options):
        self.options = options
        self.run = options.run
        self.pods = Namespaces(options.net) if options.namespaces and allowed() else Loopback(options.net)
        self.infra = Infra(self.run, self.pods.host, options.base) if options.stores != "disk" else None
        self.members: dict[str, Member] = {}
        self.supervisor = Supervisor()
        self.supervisor.changed = self.tell

    def up(self) -> None:
        """Starts all of it, and waits until clients can log in."""
        if not os.access(self.options.throng, os.X_OK):
            raise FileNotFoundError(f"{self.options.throng} is no program; --throng or THRONG names another")
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir(parents=True)
        self.pods.up()
        if self.infra:
            self.infra.up("redis-ha", *(["kafka", "cassandra"] if self.options.stores == "real" else []))
        self._file().write_text(self._configuration())
        if self.options.stores == "real":
            self._migrate()
        for role in ("router", "session", "edge"):
            for _ in range(getattr(self.options, f"{role}s")):
                self.add(role)
        for name in self.members:
            self.wait_ready(name)

    def down(self) -> None:
        """Leaves nothing behind but logs."""
        self.supervisor.close()
        if self.infra:
            self.infra.down()
        self.pods.down()
        self._state().unlink(missing_ok=True)

    def add(self, role: str) -> str:
        """Starts one more of a role; its name."""
        number = next(n for n in range(MEMBERS_MAX) if f"{role}-{n}" not in self.members)
        name = f"{role}-{number}"
        address = self.pods.add(name, FIRST[role] + number)
        command = self.pods.command(name, [str(self.options.throng), role, "--config", str(self._file())])
        (self.run / "data" / name).mkdir(parents=True, exist_ok=True)
        process = Process(name, command, self._environment(role, name, address), self.run / "logs" / f"{name}.log")
        self.members[name] = Member(role, name, address, process)
        self.supervisor.add(process)
        return name

    def remove(self, name: str, grace_s: float) -> float:
        """SIGTERM to one that is not to come back; how long it took to go, in seconds."""
        took = self.supervisor.end(name, grace_s)
        self.members.pop(name)
        self.pods.remove(name)
        self.tell()
        return took

    def kill(self, name: str) -> None:
        self.members[name].process.signal(signal.SIGKILL)

    def freeze(self, name: str) -> None:
        self.members[name].process.signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self.members[name].process.signal(signal.SIGCONT)

    def restart(self, name: str, grace_s: float) -> float:
        """SIGTERM, after which it comes back; how long it took to go, in seconds."""
        return self.supervisor.stop(name, grace_s)

    def of_role(self, role: str) -> list[str]:
        return [name for name, member in self.members.items() if member.role == role]

    def clients(self) -> list[str]:
        """Where clients connect."""
        return [f"{self.members[name].address}:{CLIENTS}" for name in self.of_role("edge")]

    def wait_ready(self, name: str) -> None:
        """Until it serves, by its own account where it gives one."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.is_ready(name):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} does not get ready: {self.members[name].process.log}")
            time.sleep(0.05)

    def is_ready(self, name: str) -> bool:
        member = self.members[name]
        if not member.process.pid:
            return False
        if member.role == "edge":
            return is_healthy(member.address)
        return accepts(member.address, SESSION if member.role == "session" else ROUTER)

    def slots(self) -> int:
        """How many slots have an owner, by what the owners say of themselves."""
        owners = [member for member in self.members.values() if member.role == "session"]
        return int(sum(ask(f"http://{owner.address}:{METRICS}/metrics").get("throng_session_slots", 0) for owner in owners))

    def panics(self) -> list[str]:
        """Lines that no log should have."""
        logs = sorted((self.run / "logs").glob("*.log"))
        return [f"{log.stem}: {line}" for log in logs for line in log.read_text("utf-8", "replace").splitlines() if "panicked at" in line]

    def tell(self) -> None:
        """Writes the state file."""
        state = {
            "supervisor": os.getpid(),
            "configuration": str(self._file()),
            "domain": DOMAIN,
            "stores": self.infra.addresses if self.infra else {},
            "members": [member.told() for member in self.members.values()],
        }
        new = self._state().with_suffix(".new")
        new.write_text(json.dumps(state, indent=2) + "\n")
        new.replace(self._state())

    def _state(self) -> pathlib.Path:
        return self.run / "state.json"

    def _file(self) -> pathlib.Path:
        return self.run / "throng.toml"

    def _environment(self, role: str, name: str, address: str) -> dict[str, str]:
        """What a member has for itself; everything else is in the one file of all."""
        own = {
            "THRONG_SERVER_DATA": str(self.run / "data" / name),
            "THRONG_METRICS_LISTEN": f"{address}:{METRICS}",
            "edge": {
                "THRONG_EDGE_MEMBER": name,
                "THRONG_EDGE_STARTTLS": f"{address}:{CLIENTS}",
                "THRONG_EDGE_HTTP": f"{address}:{HTTP}",
            },
            "session": {"THRONG_SESSION_MEMBER": name, "THRONG_CLUSTER_SESSION_LISTEN": f"{address}:{SESSION}"},
            "router": {"THRONG_ROUTER_MEMBER": name, "THRONG_CLUSTER_ROUTER_LISTEN": f"{address}:{ROUTER}"},
        }
        clean = {key: value for key, value in os.environ.items() if not key.startswith("THRONG_")}
        return {**clean, **{key: value for key, value in own.items() if isinstance(value, str)}, **own[role]}

    def _urls(self, role: str, port: int, count: int) -> str:
        prefix = self.pods.host.rsplit(".", 1)[0]
        return json.dumps([f"http://{prefix}.{FIRST[role] + number}:{port}" for number in range(count)])

    def _configuration(self) -> str:
        options = self.options
        # Owners may be added only where their table is in a common store.
        sessions = MEMBERS_MAX if options.stores == "real" else options.sessions
        text = f"""[server]
domains = ["{DOMAIN}"]
registration = true
[edge]
direct_tls = []
tls_required = false
plain_on_loopback = true
{self._page()}[limits]
connections_per_address_max = 100000
logins_burst = {LOGINS_BURST}
# Two cores have to take those in again, beside everything else that runs here.
drain_per_s = 100
[session]
edges = {0 if options.stores == "real" else options.edges}
admissions_per_s = {options.admissions}
hand_over_per_s = 150
registrations_max = 1000000
login_failures_max = 1000000
[cluster]
owners = {self._urls("session", SESSION, sessions)}
routers = {self._urls("router", ROUTER, options.routers)}
[log]
level = "info"
"""
        if options.stores != "disk":
            text += self._redis()
        return text + (self._scylla() if options.stores == "real" else self._slot_ranges())

    def _page(self) -> str:
        """The chat page, if it is in place (`make web`)."""
        folder = ROOT / "target/web"
        return f'page_dir = "{folder}"\n' if (folder / "converse").exists() else ""

    def _redis(self) -> str:
        sentinels = [f"redis://{address}" for address in self.infra.addresses["REDIS_SENTINELS"].split(",")]
        return f'[redis]\nservers = {json.dumps(sentinels)}\nkind = "sentinel"\nmaster = "throng"\n'

    def _scylla(self) -> str:
        nodes = json.dumps([self.infra.addresses["CQL"]])
        return f'[store]\nbackend = "scylla"\nscylla_nodes = {nodes}\nscylla_keyspace = "throng"\n'

    def _slot_ranges(self) -> str:
        """Without a table in a common store, each owner has its slots, and its own disk."""
        count = self.options.sessions
        ends = [SLOTS * number // count for number in range(count + 1)]
        ranges = [
            f'member = "session-{number}"\nfirst = {ends[number]}\nlast = {ends[number + 1] - 1}'
            for number in range(count)
        ]
        return "".join(f"[[session.owners]]\n{range}\n" for range in ranges)

    def _migrate(self) -> None:
        """The tables are made once, before anybody uses them."""
        command = [str(self.options.throng), "migrate", "--config", str(self._file())]
        subprocess.run(command, check=True, capture_output=True)


def is_healthy(address: str) -> bool:
    """Whether an edge says that it has found an owner."""
    connection = http.client.HTTPConnection(address, HTTP, timeout=1)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def accepts(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
        return True
    except OSError:
        return False
