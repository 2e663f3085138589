"""Guests as rows only, for tests of pages that ask libvirt nothing."""

import uuid

from guests.models import Disk, Guest, Nic, Sheet
from hosts.models import Host
from storage.models import Pool, Volume

SHEET = {
    "arch": "x86_64",
    "machine": "pc-q35-7.2",
    "domain_type": "qemu",
    "emulator": "/usr/bin/qemu-system-x86_64",
    "max_vcpus": 255,
    "firmwares": ["bios", "uefi", "uefi-secure"],
    "efi_loaders": [],
    "cpu_modes": ["maximum", "custom"],
    "disk_buses": ["virtio", "sata"],
    "graphics": ["vnc"],
    "videos": ["vga", "virtio"],
    "tpm_models": [],
    "tpm_versions": [],
    "rng_models": ["virtio"],
    "hyperv_features": [],
}


def make_host(name: str = "kvm-a", **values: object) -> Host:
    common = {"uri": f"test:///{name}", "state": "connected", "cpus": 4, "memory_mib": 8192, "kvm_works": False}
    host = Host.objects.create(name=name, **{**common, **values})
    Sheet.objects.create(host=host, domain_type="qemu", machine="q35", data=SHEET)
    return host


def make_pool(host: Host, name: str = "store", **values: object) -> Pool:
    common = {
        "uuid": uuid.uuid4(),
        "type": "dir",
        "is_active": True,
        "target_path": f"/srv/{name}",
        "capacity_bytes": 100 * 2**30,
        "available_bytes": 50 * 2**30,
    }
    return Pool.objects.create(host=host, name=name, **{**common, **values})


def make_guest(host: Host, name: str, **values: object) -> Guest:
    return Guest.objects.create(host=host, uuid=uuid.uuid4(), name=name, **{"graphics": "vnc", **values})


def make_guests(count: int) -> None:
    """Many guests on ten hosts, in all states, each with a disk in a pool, a network card and an address."""
    hosts = [make_host(f"kvm-{n:02}") for n in range(10)]
    pools = [make_pool(host) for host in hosts]
    states = ["running", "running", "shutoff", "paused", "crashed", "saved"]
    guests = Guest.objects.bulk_create(
        Guest(
            host=hosts[n % 10],
            uuid=uuid.UUID(int=n + 1),
            name=f"guest-{n:05}",
            state=states[n % len(states)],
            graphics="vnc",
            vcpus=2,
            memory_mib=2048,
            memory_used_mib=900,
            cpu_percent=12.5,
            addresses=[{"address": f"10.0.{n // 250}.{n % 250}", "source": "lease", "mac": ""}],
            xml="<domain/>" * 500,
        )
        for n in range(count)
    )
    volumes = Volume.objects.bulk_create(
        Volume(pool=pools[n % 10], name=f"{guest.name}.qcow2", path=f"/srv/store/{guest.name}", capacity_bytes=2**30)
        for n, guest in enumerate(guests)
    )
    Disk.objects.bulk_create(
        Disk(guest=guest, target="vda", source=volume.path, volume=volume)
        for guest, volume in zip(guests, volumes, strict=True)
    )
    Nic.objects.bulk_create(
        Nic(guest=guest, mac=f"52:54:00:00:{n // 256 % 256:02x}:{n % 256:02x}", kind="network", source="default")
        for n, guest in enumerate(guests)
    )
