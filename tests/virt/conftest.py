"""Real libvirt for these tests: everything is named kvt-virt-…, and is gone when they end."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.virt.helpers import PREFIX, URI, tiny_guest, unique
from virt import domains, pools, power, volumes
from virt.connection import Connection, connect
from virt.domain_reader import list_domains
from virt.errors import GuestNotFound, VirtError

hypothesis.settings.register_profile("virt", deadline=None, max_examples=60)  # a busy machine is no finding
hypothesis.settings.load_profile("virt")


@pytest.fixture
def conn() -> Iterator[Connection]:
    with connect(URI, timeout_s=20) as connection:
        yield connection


@pytest.fixture
def define(conn: Connection) -> Iterator[Callable[..., str]]:
    """define(xml) -> uuid; the guest is gone after the test, whatever became of it."""
    made: list[str] = []

    def make(xml: str) -> str:
        made.append(domains.define(conn, xml))
        return made[-1]

    yield make
    with connect(URI, timeout_s=20) as own:
        for uuid in made:
            try:
                power.destroy(own, uuid)
                domains.undefine(own, uuid)
            except GuestNotFound:
                continue


@pytest.fixture
def guest(define: Callable[..., str]) -> str:
    """The uuid of a defined tiny guest."""
    return define(tiny_guest(unique()))


@pytest.fixture
def running(conn: Connection, guest: str) -> str:
    """The uuid of a running tiny guest."""
    power.start(conn, guest)
    return guest


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that QEMU may read."""
    path = Path("/var/tmp") / f"kvmweb-test-{unique()}"
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def pool(conn: Connection, directory: Path) -> Iterator[str]:
    """The name of an active, empty directory pool."""
    name = unique()
    pools.ensure_dir_pool(conn, name, str(directory / "pool"))
    yield name
    _drop_pool(name)


@pytest.fixture
def small_pool(conn: Connection, directory: Path) -> Iterator[str]:
    """A pool on a file system of 16 MiB of its own."""
    mount = directory / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=0755", "tmpfs", str(mount)], check=True)
    name = unique()
    try:
        pools.ensure_dir_pool(conn, name, str(mount))
        yield name
    finally:
        _drop_pool(name)
        subprocess.run(["umount", str(mount)], check=True)


def _drop_pool(name: str) -> None:
    with connect(URI, timeout_s=20) as own:
        for volume in volumes.list_volumes(own, name, refresh=True) if pools.find_pool(own, name) else []:
            volumes.delete_volume(own, name, volume.name)
        pools.delete_pool(own, name)


@pytest.fixture
def golden() -> Callable[[str, Path], None]:
    """golden(text, file): the same as the file. KVMWEB_REGEN=1 writes the file; then read the diff."""

    def compare(text: str, path: Path) -> None:
        if os.environ.get("KVMWEB_REGEN") == "1":
            path.write_text(text.rstrip("\n") + "\n")
        assert text.rstrip("\n") + "\n" == path.read_text(), f"differs from {path.name}; KVMWEB_REGEN=1 accepts it"

    return compare


@pytest.fixture(scope="session", autouse=True)
def nothing_left() -> Iterator[None]:
    """The machine is as it was."""
    yield
    try:
        with connect(URI, timeout_s=20) as own:
            guests = [g.name for g in list_domains(own) if g.name.startswith(PREFIX)]
            left = guests + [p.name for p in pools.list_pools(own) if p.name.startswith(PREFIX)]
    except VirtError:
        left = []  # the tests without libvirt ran on a machine without it
    assert left == []
    assert not list(Path("/var/tmp").glob(f"kvmweb-test-{PREFIX}*"))
