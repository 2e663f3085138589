"""Fixtures of the storage tests."""

import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hosts.models import Host
from jobs.models import Job
from storage import tasks
from storage.inventory import refresh_pool
from storage.models import Pool
from tests.storage.upload_site import Site

Virsh = Callable[..., str]


@pytest.fixture(scope="session")
def small_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a file system of its own, of 40 MiB."""
    path = tmp_path_factory.mktemp("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", str(path)], check=True)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, small_pool: Path) -> Iterator[Site]:
    """A running upload server with users ann, bob and eve (operators), vic (viewer), root (administrator) and nil."""
    running = Site(tmp_path_factory.mktemp("site"), small_pool)
    running.start()
    yield running
    running.kill()


@pytest.fixture
def new_pool(local_host: Host, virsh: Virsh) -> Iterator[Callable[..., Pool]]:
    """Makes a directory pool in libvirt with its row; with `size_mib` it has a file system of its own, of that size."""
    made: list[tuple[str, Path, bool]] = []

    def make(size_mib: int = 0) -> Pool:
        name = f"kvt-{uuid.uuid4().hex[:8]}"
        path = Path(tempfile.mkdtemp(prefix="kvmweb-test-", dir="/var/tmp"))
        path.chmod(0o755)
        if size_mib:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(path)], check=True)
        made.append((name, path, bool(size_mib)))
        virsh("pool-define-as", name, "dir", "--target", str(path))
        virsh("pool-start", name)
        with local_host.connect() as conn:
            row = refresh_pool(local_host, conn, name, rescan=True)
        assert row is not None
        return row

    yield make
    for name, path, is_mount in made:
        virsh("pool-destroy", name, check=False)
        virsh("pool-undefine", name, check=False)
        if is_mount:
            subprocess.run(["umount", str(path)], check=True)
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that QEMU may enter."""
    path = Path(tempfile.mkdtemp(prefix="kvmweb-test-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def loop(directory: Path) -> Iterator[str]:
    """A loop device of 64 MiB, where the machine has any."""
    image = directory / "loop.img"
    with image.open("wb") as file:
        file.truncate(64 * 1024**2)
    done = subprocess.run(["losetup", "--find", "--show", str(image)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"loop devices: this machine has none ({done.stderr.strip()})")
    yield done.stdout.strip()
    subprocess.run(["losetup", "-d", done.stdout.strip()], check=True)


@pytest.fixture
def pool(new_pool: Callable[..., Pool]) -> Pool:
    return new_pool()


@pytest.fixture
def new_guest(virsh: Virsh) -> Iterator[Callable[..., str]]:
    """Defines a guest that is never meant to do anything, with the given files as its disks; returns its name."""
    made: list[str] = []

    def make(*disks: Path | str, start: bool = False) -> str:
        name = f"kvt-{uuid.uuid4().hex[:8]}"
        drives = "".join(
            f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/>"
            f"<target dev='vd{chr(ord('a') + number)}' bus='virtio'/></disk>"
            for number, disk in enumerate(disks)
        )
        xml = (
            f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>"
            f"<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{drives}</devices></domain>"
        )
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(xml)
            file.flush()
            virsh("define", file.name)
        made.append(name)
        if start:
            virsh("start", name)
        return name

    yield make
    for name in made:
        virsh("destroy", name, check=False)
        virsh("undefine", name, check=False)


@pytest.fixture
def build_iso(tmp_path: Path) -> Callable[..., Path]:
    """Builds an ISO image with that label at that path; `boots` is some of "bios", "uefi"."""

    def build(target: Path, label: str, *, boots: tuple[str, ...] = ("bios",), padding_mib: int = 0) -> Path:
        tree = Path(tempfile.mkdtemp(dir=tmp_path))
        (tree / "boot.img").write_bytes(bytes(4096))
        (tree / "padding").write_bytes(bytes(padding_mib * 1024 * 1024))
        command = ["xorriso", "-as", "mkisofs", "-quiet", "-V", label, "-o", str(target)]
        if "bios" in boots:
            command += ["-b", "boot.img", "-no-emul-boot", "-boot-load-size", "4"]
        if "uefi" in boots:
            command += [*(["-eltorito-alt-boot"] if "bios" in boots else []), "-e", "boot.img", "-no-emul-boot"]
        subprocess.run([*command, str(tree)], check=True, capture_output=True)
        return target

    return build


def run(job: Job) -> Job:
    """Run a job of this room in this process, as a worker would, and return it as it ended."""
    getattr(tasks, job.kind).run_here(job)
    job.refresh_from_db()
    return job
