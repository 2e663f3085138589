"""Guests of the test: tiny, emulated, gone at the end whatever happened."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from virt import domains
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
