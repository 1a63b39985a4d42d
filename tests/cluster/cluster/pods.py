"""Where processes run: each at an address of its own, in a network namespace if this machine lets us make one.

A namespace is what makes a partition possible: its only way out is a virtual cable to a bridge, and either end of the cable
can be told to drop what is put into it."""

import os
import subprocess


def allowed() -> bool:
    """Whether namespaces can be made here."""
    if os.geteuid() != 0:
        return False
    probe = f"throng-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True)
    subprocess.run(["ip", "netns", "del", probe], capture_output=True)
    return made.returncode == 0


class Loopback:
    """Addresses of 127.NET.0.0/16, which need nothing to be made and cannot be cut off."""

    can_cut = False

    def __init__(self, net: int):
        self.net = net
        self.host = f"127.{net}.0.1"

    def up(self) -> None:
        pass

    def down(self) -> None:
        pass

    def add(self, name: str, number: int) -> str:
        return f"127.{self.net}.0.{number}"

    def remove(self, name: str) -> None:
        pass

    def command(self, name: str, command: list[str]) -> list[str]:
        return command


class Namespaces:
    """A bridge with 10.NET.0.1 on our side, and a namespace with a cable to it for each process."""

    can_cut = True

    def __init__(self, net: int):
        self.net = net
        self.bridge = f"throng{net}"
        self.host = f"10.{net}.0.1"
        self.names: dict[str, int] = {}

    def up(self) -> None:
        self.down()
        ip("link", "add", self.bridge, "type", "bridge")
        ip("addr", "add", f"{self.host}/16", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")

    def down(self) -> None:
        listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
        for line in listed.splitlines():
            if line.startswith(f"{self.bridge}-"):
                ip("netns", "del", line.split()[0])
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)
        self.names.clear()

    def add(self, name: str, number: int) -> str:
        space, cable, address = self._space(name), f"t{self.net}v{number}", f"10.{self.net}.0.{number}"
        ip("netns", "add", space)
        ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("link", "set", cable, "master", self.bridge, "up")
        ip("-n", space, "addr", "add", f"{address}/16", "dev", "eth0")
        ip("-n", space, "link", "set", "eth0", "up")
        ip("-n", space, "link", "set", "lo", "up")
        self.names[name] = number
        return address

    def remove(self, name: str) -> None:
        if self.names.pop(name, None) is not None:
            ip("netns", "del", self._space(name))

    def command(self, name: str, command: list[str]) -> list[str]:
        # `ip` becomes the command, so its process is the one that is started.
        return ["ip", "netns", "exec", self._space(name), *command]

    def cut(self, name: str, ways: str) -> None:
        """Drops what leaves it (`out`), what is sent to it (`in`), or `both`: a queue without room in it."""
        for way in ("out", "in"):
            if ways in (way, "both"):
                self._tc(name, way, "add", "pfifo", "limit", "0")

    def mend(self, name: str, ways: str) -> None:
        for way in ("out", "in"):
            if ways in (way, "both"):
                self._tc(name, way, "del")

    def _tc(self, name: str, way: str, verb: str, *what: str) -> None:
        if way == "in":
            run("tc", "qdisc", verb, "dev", f"t{self.net}v{self.names[name]}", "root", *what)
        else:
            run("tc", "-n", self._space(name), "qdisc", verb, "dev", "eth0", "root", *what)

    def _space(self, name: str) -> str:
        return f"{self.bridge}-{name}"


def ip(*arguments: str) -> None:
    run("ip", *arguments)


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
