"""Guests of the test: tiny, emulated, gone at the end whatever happened."""

import os
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from guests.sheets import refresh_sheets
from hosts.inventory import refresh_facts
from hosts.models import Host
from storage.inventory import refresh_pool
from storage.models import Pool
from virt import domains, pools
from virt.connection import Connection, connect

TINY = """<domain type='qemu'>
  <name>{name}</name><uuid>{uuid}</uuid>
  <metadata><libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'>
    <libosinfo:os id='http://debian.org/debian/12'/></libosinfo:libosinfo></metadata>
  <memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <graphics type='vnc'><listen type='none'/></graphics>
    {devices}
  </devices>
</domain>"""


@pytest.fixture
def conn() -> Iterator[Connection]:
    with connect("qemu:///system") as connection:
        yield connection


@pytest.fixture
def kvt() -> Iterator[str]:
    """A prefix of its own for everything that the test makes on libvirt. At the end nothing with it is left."""
    prefix = f"kvt-{uuid.uuid4().hex[:8]}"
    yield prefix
    for name in _virsh("list", "--all", "--name").splitlines():
        if name.startswith(prefix):
            _virsh("destroy", name)
            _virsh("undefine", name, "--nvram", "--managed-save", "--snapshots-metadata")
    for name in _virsh("pool-list", "--all", "--name").splitlines():
        if name.strip().startswith(prefix):
            _virsh("pool-destroy", name.strip())
            _virsh("pool-undefine", name.strip())


def _virsh(*words: str) -> str:
    return subprocess.run(["virsh", "-q", *words], capture_output=True, text=True, timeout=60, check=False).stdout


@pytest.fixture
def new_domain(conn, kvt):
    """Define a tiny guest beside kvmweb, as virsh would: `new_domain("a", devices="<disk …>")` gives its uuid."""

    def make(suffix: str = "guest", *, devices: str = "") -> str:
        key = str(uuid.uuid4())
        return domains.define(conn, TINY.format(name=f"{kvt}-{suffix}", uuid=key, devices=devices))

    return make


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that QEMU can read."""
    path = Path(tempfile.mkdtemp(prefix="kvmweb-test-", dir="/var/tmp"))
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def ready_host(local_host, conn) -> Host:
    """The local host as the watcher leaves it: its facts and what guests can have on it are known, KVM is not used."""
    refresh_facts(local_host, conn)
    refresh_sheets(local_host, conn)
    local_host.kvm_works, local_host.kvm_reason = False, "Guests are emulated in tests."
    local_host.save()
    return local_host


@pytest.fixture
def store(ready_host, conn, kvt, directory) -> Pool:
    """A pool for disks, by libvirt and as a row."""
    pools.ensure_dir_pool(conn, f"{kvt}-store", str(directory))
    row = refresh_pool(ready_host, conn, f"{kvt}-store")
    assert row is not None
    return row


@pytest.fixture
def volumes_in():
    """What libvirt says lies in a pool: `volumes_in(pool)` gives names."""

    def names(pool: Pool) -> list[str]:
        _virsh("pool-refresh", pool.name)
        lines = [line.strip() for line in _virsh("vol-list", pool.name).splitlines()]
        return sorted(re.split(r"\s{2,}", line)[0] for line in lines if line)

    return names
