"""Services in containers: the arguments of podman or docker, the image, and what a killed client leaves.

A container is as near to a plain process as it gets: the host's network and IPC, no limit on locked memory,
its GPUs, no log of its own. `podman run` stays in the foreground for it: the supervisor sees its output and
its end, and a SIGTERM goes on to the container's main process. A client that is killed leaves its container
running, so it is removed by name before every start and after every stop.
"""

import hashlib
import re
import resource
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nodectl.common import isolated, limits, programs, steps
from nodectl.common.errors import BadInputError, NodectlError
from nodectl.common.steps import say
from nodectl.contract.runtime import ContainerEngine, Variant

PROGRAMS: Final = ("podman", "docker")
"""In the order in which `auto` takes them: podman needs no daemon."""

PYTHON: Final = "python3"
"""The program that an image must have on its PATH, with Dynamo's modules."""

_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_INFINIBAND: Final = Path("/dev/infiniband")
_REMOVE_SECONDS: Final = 60
_PROBE_SECONDS: Final = 300
_LAST_LINES: Final = 5


@dataclass(frozen=True)
class Mount:
    """A folder of the node that the container sees at the same path."""

    folder: Path
    writable: bool = False


@dataclass(frozen=True)
class Container:
    """A container that a service runs in, or did: what launch files say of it."""

    program: str
    """Path of podman or docker."""
    name: str
    image: str
    options: list[str]
    """Of `podman run` or `docker run`, without environment and image."""


def find(requested: str) -> str:
    """Return the path of `podman`, `docker`, or for `auto` of the first that is here."""
    candidates = PROGRAMS if requested == "auto" else (requested,)
    for candidate in candidates:
        if path := programs.look(candidate):
            return path
    raise BadInputError(
        f"runtime.program: {' and '.join(candidates)} cannot be found on this node: `apt install podman`, or "
        "install docker"
    )


def name(root: Path, service: str) -> str:
    """Return the name of a service's container: the same at every start, another for every node's folder."""
    digest = hashlib.sha256(str(root).encode()).hexdigest()[:8]
    return _NAME.sub("-", f"dynamo-{root.name}-{service}-{digest}")


def options(
    program: str, container_name: str, *, gpus: Sequence[int], mounts: Iterable[Mount], stop_seconds: int
) -> list[str]:
    """Return the options of `podman run` or `docker run`, without environment and image."""
    arguments = [
        "--rm",
        f"--name={container_name}",
        "--network=host",
        "--ipc=host",
        "--init",  # reaps what engines leave, and SIGTERM works before Dynamo handles it
        "--pull=never",
        "--log-driver=none",
        "--ulimit=memlock=-1",
        "--ulimit=core=0",  # what is in a service's memory, a token perhaps, gets into no core dump
        "--security-opt=label=disable",
        f"--stop-timeout={stop_seconds}",
    ]
    if gpus:
        arguments += _devices(program, gpus)
    for mount in mounts:
        if ":" in str(mount.folder):
            raise BadInputError(f"{mount.folder}: a folder with a colon cannot be seen in a container")
        arguments.append(f"--volume={mount.folder}:{mount.folder}{'' if mount.writable else ':ro'}")
    return arguments


def fabric() -> list[str]:
    """Return the options for this node's InfiniBand or RoCE cards; none where there are none."""
    return [f"--device={_INFINIBAND}", "--cap-add=IPC_LOCK"] if _INFINIBAND.is_dir() else []


def command(
    container: Container, argv: Sequence[str], env: Mapping[str, str], secrets: Iterable[str]
) -> list[str]:
    """Return what runs `argv` in a container; the client takes secrets from its own environment, by name."""
    value_options = [f"--env={key}={value}" for key, value in sorted(env.items())]
    secret_options = [f"--env={key}" for key in sorted(secrets)]
    options = [*container.options, f"--ulimit=nofile={_open_files(container.program)}"]
    return [container.program, "run", *options, *value_options, *secret_options, container.image, *argv]


def _open_files(program: str) -> int:
    """Return how many open files a container may have: docker's daemon sets that, podman with our rights."""
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    own_limit = hard_limit if hard_limit != resource.RLIM_INFINITY else limits.most()
    return limits.most() if Path(program).name == "docker" else min(own_limit, limits.most())


def remove(containers: Iterable[Container | None]) -> None:
    """Remove containers, running or not; those that are not there are none of its business."""
    for container in containers:
        if container is None:
            continue
        try:
            subprocess.run(
                [container.program, "rm", "--force", "--volumes", container.name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_REMOVE_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NodectlError(f"the container {container.name} cannot be removed: {error}") from error


def ensure(engine: ContainerEngine, variant: Variant, folder: Path, deadline: float) -> bool:
    """Pull the image unless it is here, and see that a container of it starts; return whether it had.

    `folder` remembers which images had. Raises `BadInputError` without podman and docker.
    """
    program, image = find(engine.program), engine.image
    key = hashlib.sha256(f"{program} {image} {variant}".encode()).hexdigest()[:12]
    with steps.locked(folder / key, deadline) as step:
        image_id = _id(program, image)
        if image_id is None:
            say(f"pulling {image}")
            step.run([program, "pull", image], tell=f"still pulling {image}")
            image_id = _id(program, image)
        record = folder / key
        if record.is_file() and record.read_text(encoding="utf-8") == image_id:
            return True
        _probe(program, image, gpus=variant == "gpu")
        record.write_text(image_id or "", encoding="utf-8")
    return False


def _id(program: str, image: str) -> str | None:
    """Return what names the image's content here; None when it is not here."""
    inspection = subprocess.run(
        [program, "image", "inspect", "--format", "{{.Id}}", image],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if inspection.returncode == 0:
        return inspection.stdout.strip()
    # told from an image that is not here: no daemon, no right to talk to it
    info = subprocess.run(
        [program, "info"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if info.returncode:
        raise BadInputError(f"{program} does not work on this node: {_last(info)}")
    return None


def _probe(program: str, image: str, *, gpus: bool) -> None:
    """Start a container as services are, once: tells now what would fail at every start of every worker."""
    container_name = f"dynamo-probe-{hashlib.sha256(image.encode()).hexdigest()[:8]}"
    run_options = options(program, container_name, gpus=(), mounts=(), stop_seconds=1)
    probe = Container(program, container_name, image, run_options)
    devices = _all_devices(program) if gpus else []
    environment = [
        f"--env={name}={value}" for name, value in isolated.ENVIRONMENT.items()
    ]  # the image's PYTHONPATH counts
    remove([probe])
    try:
        completed = subprocess.run(
            [
                program,
                "run",
                *run_options,
                *devices,
                *fabric(),
                *environment,
                image,
                PYTHON,
                "-c",
                "import dynamo",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        remove([probe])
        raise NodectlError(
            f"{program}: a container of {image} does not end within {error.timeout:.0f} s"
        ) from None
    if completed.returncode:
        raise BadInputError(
            f"a container of {image} does not start with {program}: "
            f"{_last(completed)}{_remedy(program, completed.stderr)}"
        )


def _devices(program: str, gpus: Sequence[int]) -> list[str]:
    if Path(program).name == "docker":
        # docker reads the value as CSV: the quotes keep the numbers together
        return [f'--gpus="device={",".join(map(str, gpus))}"']
    return [f"--device=nvidia.com/gpu={gpu}" for gpu in gpus]


def _all_devices(program: str) -> list[str]:
    return ["--gpus=all"] if Path(program).name == "docker" else ["--device=nvidia.com/gpu=all"]


def _remedy(program: str, message: str) -> str:
    """Return what to do about a complaint that is known."""
    if "container-init" in message or "catatonit" in message:
        return "; `apt install catatonit`"
    if "nvidia.com/gpu" in message:
        return "; `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml` (NVIDIA Container Toolkit)"
    if "device driver" in message:
        return "; install the NVIDIA Container Toolkit and `nvidia-ctk runtime configure --runtime=docker`"
    if "No module named" in message:
        return f"; it needs {PYTHON} with Dynamo on its PATH"
    return f"; try `{program} run --rm` with it by hand"


def _last(completed: "subprocess.CompletedProcess[str]") -> str:
    lines = [line for line in (completed.stdout + completed.stderr).splitlines() if line.strip()]
    return " / ".join(lines[-_LAST_LINES:]) or f"exit code {completed.returncode}"
