"""Hosts with rows on them, without a watcher or libvirt."""

import pytest
from django.utils import timezone

from guests.models import Guest
from hosts.models import Host
from networking.models import Bridge, Network
from storage.models import Pool


@pytest.fixture
def host(db) -> Host:
    """A connected host with all its facts and two guests, a pool, a network and a bridge."""
    now = timezone.now()
    host = Host.objects.create(
        name="kvm-a01",
        uri="qemu:///system",
        state=Host.State.CONNECTED,
        seen_at=now,
        sampled_at=now,
        cpus=8,
        memory_mib=16384,
        cpu_percent=12.4,
        memory_used_mib=4096,
        kvm_works=False,
        kvm_reason="A tiny guest did not boot with KVM.",
        facts={"hostname": "kvm-a01", "libvirt_version": "9.0.0", "hypervisor": "QEMU", "hypervisor_version": "7.2.0"},
    )
    network = Network.objects.create(host=host, uuid=_uuid(1), name="default", is_active=True, cidr="192.168.122.1/24")
    Bridge.objects.create(host=host, name="br0", is_active=True, ports=["ens33"], addresses=["192.168.189.14/24"])
    Pool.objects.create(
        host=host, uuid=_uuid(2), name="store", type="dir", is_active=True, capacity_bytes=100, available_bytes=40
    )
    web = Guest.objects.create(host=host, uuid=_uuid(3), name="web-01", state="running", vcpus=2, memory_mib=2048)
    Guest.objects.create(host=host, uuid=_uuid(4), name="db-01", state="crashed", vcpus=4, memory_mib=4096)
    web.nics.create(mac="52:54:00:00:00:01", kind="network", source="default", network=network)
    return host


def _uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


@pytest.fixture
def crowd(host) -> list[Host]:
    """Sixty more hosts with a guest, a pool and a network each."""
    hosts = Host.objects.bulk_create(
        Host(name=f"kvm-b{n:02d}", uri=f"qemu+ssh://kvm-b{n:02d}/system", state=Host.State.CONNECTED, cpus=4)
        for n in range(60)
    )
    Guest.objects.bulk_create(Guest(host=row, uuid=_uuid(1000 + row.pk), name=f"g-{row.pk}") for row in hosts)
    Pool.objects.bulk_create(Pool(host=row, uuid=_uuid(2000 + row.pk), name="store", type="dir") for row in hosts)
    Network.objects.bulk_create(Network(host=row, uuid=_uuid(3000 + row.pk), name="default") for row in hosts)
    return hosts
