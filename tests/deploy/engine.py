"""Stands in for a container engine, with namespaces and an overlay: what the container files say is done, step by step.

What is as in a container: the steps of the Containerfile in their order, its environment, user, folder, entry point,
health check and stop signal; a root that is read-only, a process tree and network of its own, ``/dev/shm`` of 64 MiB,
no capability, no new privilege. What is not: the base image. Its place takes this machine's own root, with its Python,
and what is installed here is there as well; nor does anything here make an image's archive or layers.

Everything needs root, and goes away with the process that made it.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
from dockerfile_parse import DockerfileParser

REPOSITORY = Path(__file__).parents[2]
CONTAINERFILE = REPOSITORY / "deploy" / "Containerfile"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHM = "64m"


class Image(msgspec.Struct):
    """What a Containerfile makes: ``layer`` is the folder of what was written over the root of this machine."""

    layer: Path
    environment: dict[str, str] = msgspec.field(default_factory=lambda: {"PATH": _PATH})
    user: str = "0:0"
    workdir: str = "/"
    volumes: list[str] = msgspec.field(default_factory=list)
    entrypoint: list[str] = msgspec.field(default_factory=list)
    command: list[str] = msgspec.field(default_factory=list)
    healthcheck: list[str] = msgspec.field(default_factory=list)
    stop_signal: str = "SIGTERM"

    @classmethod
    def load(cls, folder: Path) -> Image:
        """An image that was built before."""
        return msgspec.json.decode((folder / "image.json").read_bytes(), type=cls, dec_hook=lambda kind, v: kind(v))

    def save(self, folder: Path) -> None:
        (folder / "image.json").write_bytes(msgspec.json.encode(self, enc_hook=str))


def build(folder: Path, file: Path = CONTAINERFILE) -> Image:
    """Do what each stage says; the last one's image, saved in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    parser = DockerfileParser(fileobj=file.open("r+b"))
    stages: dict[str, Image] = {}
    image = Image(folder)
    for step in parser.structure:
        name, value = step["instruction"].upper(), step["value"]
        if name == "FROM":
            base, _, alias = value.partition(" AS ")
            assert base == "python:3.13-slim", f"this machine cannot stand in for {base}"
            stages[alias or str(len(stages))] = image = Image(folder / f"stage-{len(stages)}")
            _lay_base(image)
        elif name != "COMMENT":
            print(f"{name} {value}", flush=True)
            _do(image, name, value, stages)
    image.save(folder)
    return image


def _lay_base(image: Image) -> None:
    """This machine's Python where the base image has it, and for everybody to reach."""
    bin_dir = image.layer / "usr/local/bin"
    bin_dir.mkdir(parents=True)
    for name in ("python", "python3"):  # no links: an interpreter finds its own library by where it is called
        (bin_dir / name).write_text(f'#!/bin/sh\nexec {sys.base_prefix}/bin/python3 "$@"\n')
        (bin_dir / name).chmod(0o755)
    for folder in Path(sys.base_prefix).parents:
        if not folder.stat().st_mode & 0o005:
            (image.layer / folder.relative_to("/")).mkdir(mode=0o755, parents=True, exist_ok=True)


def _do(image: Image, name: str, value: str, stages: Mapping[str, Image]) -> None:
    match name:
        case "RUN":
            _run(image, value)
        case "COPY":
            _copy(image, shlex.split(value), stages)
        case "ENV":
            for pair in shlex.split(value):
                key, _, text = pair.partition("=")
                image.environment[key] = text.replace("$PATH", image.environment["PATH"])
        case "WORKDIR":
            image.workdir = value
            (image.layer / value.lstrip("/")).mkdir(parents=True, exist_ok=True)
        case "VOLUME":
            image.volumes.append(value)
        case "HEALTHCHECK":
            image.healthcheck = json.loads(value.partition("CMD ")[2])
        case "ENTRYPOINT" | "CMD" | "USER" | "STOPSIGNAL":
            text = json.loads(value) if value.startswith("[") else value
            setattr(image, {"CMD": "command", "STOPSIGNAL": "stop_signal"}.get(name, name.lower()), text)
        case _:
            assert name == "EXPOSE", f"{name} is not known here"


def _run(image: Image, command: str) -> None:
    # How this machine reaches the package registries is in its environment.
    ours = {key: text for key, text in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    line = command_in(image, ["/bin/sh", "-ec", command], user="0:0", writable=True, own_network=False)
    subprocess.run(line, env=ours | image.environment, check=True, stdin=subprocess.DEVNULL)


def _copy(image: Image, words: list[str], stages: Mapping[str, Image]) -> None:
    source, is_context = REPOSITORY, True
    if words[0].startswith("--from="):
        source, is_context = stages[words.pop(0).partition("=")[2]].layer, False
    *names, target = words
    for name in names:
        place = Path(image.workdir) / target
        if target.endswith("/") or len(names) > 1 or (target == "." and (source / name).is_file()):
            place /= Path(name).name
        to = image.layer / str(place).lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        if not is_context:
            subprocess.run(["cp", "-a", "--reflink=auto", str(source / name.lstrip("/")), str(to)], check=True)
            continue
        listed = subprocess.run(["git", "ls-files", "-z", name], cwd=source, capture_output=True, check=True).stdout
        for path in filter(None, listed.decode().split("\0")):
            part = Path(path).relative_to(name)
            (to / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / path, to / part)


def command_in(
    image: Image,
    command: Sequence[str],
    *,
    user: str | None = None,
    writable: bool = False,
    own_network: bool = True,
    network: str | None = None,
    volumes: Mapping[str, Path] | None = None,
    files: Mapping[str, Path] | None = None,
) -> list[str]:
    """The command line that runs a command in a container of an image.

    ``volumes``: a path there -> a folder here that is written to; ``files``: likewise, read-only. ``network``: the
    name of a network namespace to be in.
    """
    plan = {
        "layer": str(image.layer),
        "writable": writable,
        "user": user or image.user,
        "workdir": image.workdir,
        "volumes": {path: str(here) for path, here in (volumes or {}).items()},
        "files": {path: str(here) for path, here in (files or {}).items()},
        "command": list(command),
    }
    enter = ["nsenter", f"--net=/run/netns/{network}"] if network else []
    unshare = ["unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child"]
    if own_network and not network:
        unshare.append("--net")
    return [*enter, *unshare, sys.executable, "-I", str(Path(__file__).with_name("enter.py")), json.dumps(plan)]


@contextmanager
def running(
    image: Image,
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    network: str | None = None,
    volumes: Mapping[str, Path] | None = None,
    files: Mapping[str, Path] | None = None,
    log: Path,
    entrypoint: Sequence[str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A container, killed on the way out if it still runs. Its first process is the command's."""
    words = [*(image.entrypoint if entrypoint is None else entrypoint), *command]
    line = command_in(image, words, network=network, volumes=volumes, files=files)
    log.touch()
    log.chmod(0o666)  # what is its /dev/stdout is opened again by some
    with log.open("ab") as output:
        process = subprocess.Popen(
            line,
            env={**image.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def first_process(container: subprocess.Popen[bytes]) -> int:
    """The number, outside, of a container's first process."""
    (child,) = psutil.Process(container.pid).children()
    return child.pid


def inside(
    container: subprocess.Popen[bytes], command: Sequence[str], *, image: Image
) -> subprocess.CompletedProcess[str]:
    """Run a command in a container that runs, as ``exec`` of an engine does."""
    uid, _, gid = image.user.partition(":")
    if not psutil.Process(container.pid).children():
        return subprocess.CompletedProcess(command, 125, "", "it is not running")
    enter = ["nsenter", f"--target={first_process(container)}", "--mount", "--pid", "--net", "--root", "--wd"]
    drop = ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    return subprocess.run(
        [*enter, *drop, *command],
        env={**image.environment, "HOME": "/data"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


if __name__ == "__main__":
    os.chdir(REPOSITORY)
    build(Path(sys.argv[1]).absolute())
