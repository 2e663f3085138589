"""A network with a running guest on it, and what sixty others cost."""

import pytest

from guests.models import Guest
from hosts.models import Host
from networking.models import Network


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


@pytest.fixture
def network(local_host: Host) -> Network:
    network = Network.objects.create(
        host=local_host,
        uuid=uuid(1),
        name="default",
        is_active=True,
        forward="nat",
        bridge="virbr0",
        cidr="192.168.122.1/24",
        dhcp_range="192.168.122.2 – 192.168.122.254",
        xml="<network><name>default</name></network>",
    )
    for number, (name, state) in enumerate([("web-01", "running"), ("off-01", "shutoff")]):
        guest = Guest.objects.create(
            host=local_host,
            uuid=uuid(10 + number),
            name=name,
            state=state,
            addresses=[{"address": f"192.168.122.{5 + number}", "source": "lease", "mac": f"52:54:00:00:00:0{number}"}],
        )
        guest.nics.create(mac=f"52:54:00:00:00:0{number}", kind="network", source="default", network=network)
    return network


@pytest.fixture
def many_networks(local_host: Host) -> None:
    hosts = Host.objects.bulk_create(Host(name=f"kvm-{n}", uri=f"qemu+ssh://kvm-{n}/system") for n in range(3))
    made = Network.objects.bulk_create(
        Network(host=hosts[n % 3], uuid=uuid(100 + n), name=f"net-{n:02d}", is_active=n % 2 == 0) for n in range(60)
    )
    guests = Guest.objects.bulk_create(
        Guest(host=row.host, uuid=uuid(1000 + row.pk), name=f"g-{row.pk}", state="running") for row in made
    )
    for guest, row in zip(guests, made, strict=True):
        guest.nics.create(mac="52:54:00:00:00:99", kind="network", source=row.name, network=row)
