"""podman and buildah with storage of their own, so that nothing outlives a test."""

import os
import pathlib
import resource
import subprocess
import tarfile

WORK = pathlib.Path(os.environ["CONTAINERS_WORK"])
DEBIAN_ROOT = pathlib.Path(os.environ["DEBIAN_ROOT"])
TREE = pathlib.Path(__file__).parents[2]
BASE = "docker.io/library/debian:bookworm-slim"
IMAGE = "localhost/dropoutd:latest"
SECONDS = 600

ENGINE = """[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = [{0}]
"""
STORAGE = """[storage]
driver = "vfs"
graphroot = "{0}/graph"
runroot = "{0}/run"
"""
# What the Compose file pulls, from Debian's own packages.
OTHERS = {"redis": "redis-server", "nginx": "nginx-light", "prometheus": "prometheus"}
ENTRYPOINTS = {"prometheus": "ENTRYPOINT [\"prometheus\"]\n"}


def ulimits():
    """What this process may set without further rights; podman's defaults are beyond that."""
    most = {"nofile": (resource.RLIMIT_NOFILE, 1 << 20), "nproc": (resource.RLIMIT_NPROC, 1 << 15)}
    limits = []
    for name, (number, limit) in most.items():
        hard = resource.getrlimit(number)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(hard, limit)
        limits.append(f'"{name}={limit}:{limit}"')
    return ", ".join(limits)


def environment():
    engine, storage = WORK / "containers.conf", WORK / "storage.conf"
    engine.write_text(ENGINE.format(ulimits()))
    storage.write_text(STORAGE.format(WORK))
    return {**os.environ, "CONTAINERS_CONF": str(engine), "CONTAINERS_STORAGE_CONF": str(storage),
            "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(WORK)}


def run(*command, check=True, extra_environment=None, **options):
    """The completed process; its output is text."""
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True,
                          env={**environment(), **(extra_environment or {})}, timeout=SECONDS,
                          **options)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n"
                             f"{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done


def podman(*args, **options):
    return run("podman", *args, **options)


def import_base():
    archive = WORK / "base.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(DEBIAN_ROOT, ".", recursive=True,
                filter=lambda item: None if item.name.startswith(("./proc/", "./sys/", "./dev/"))
                else item)
    podman("import", archive, BASE)
    archive.unlink()


def build(dockerfile, tag, context):
    run("buildah", "bud", "--isolation=chroot", "--format=docker", "--pull-never", "-f",
        dockerfile, "-t", tag, context)


def build_others():
    """Images of the other servers; a dictionary of variables that name them for Compose."""
    names = {}
    for name, package in OTHERS.items():
        folder = WORK / name
        folder.mkdir()
        (folder / "Dockerfile").write_text(
            f"FROM {BASE}\nRUN apt-get update && apt-get install --yes "
            f"--no-install-recommends {package}\n{ENTRYPOINTS.get(name, '')}")
        tag = f"localhost/{name}:test"
        build(folder / "Dockerfile", tag, folder)
        names[f"{name.upper()}_IMAGE"] = tag
    return names


def size(image):
    return int(podman("image", "inspect", "--format={{.Size}}", image).stdout)
