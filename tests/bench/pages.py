"""The guest list at 10, 1,000 and 10,000 guests: time on the server, in this process, on a database of its own."""

import os
import tempfile
import uuid

from .table import Row, at_most, median_ms

HOSTS = 10
VOLUMES = 5_000


def main() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="kvmweb-bench-") as var:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "KVMWEB_VAR": var}
        import django

        django.setup()
        return _measure()


def _measure() -> list[Row]:
    from django.core.management import call_command
    from django.test import Client

    from accounts.models import User

    call_command("migrate", verbosity=0)
    client = Client()
    client.force_login(User.objects.create_superuser("admin", password="only for the bench"))
    times = {}
    for count in (10, 1_000, 10_000):
        _fill(count)
        times[count] = median_ms(lambda: _get(client, "/guests/"))
        times[-count] = median_ms(lambda: _get(client, "/api/v1/guests"))
    _fill_volumes(VOLUMES)
    volumes = median_ms(lambda: _get(client, "/volumes/"))
    return [
        at_most(f"volume list page, {VOLUMES:,} volumes", volumes, 60, "ms"),
        Row(what="guest list page, 10 guests", figure=f"{times[10]:.1f} ms"),
        at_most("guest list page, 1,000 guests", times[1_000], 40, "ms"),
        Row(what="guest list page, 10,000 guests", figure=f"{times[10_000]:.1f} ms"),
        at_most("guest list page, 10,000 guests against 1,000", times[10_000] / times[1_000], 1.3),
        Row(what="guest list over REST, 1,000 guests (50 a page)", figure=f"{times[-1_000]:.1f} ms"),
        Row(what="guest list over REST, 10,000 guests against 10", figure=f"{times[-10_000] / times[-10]:.2f} x"),
    ]


def _get(client: object, path: str) -> None:
    response = client.get(path)  # type: ignore[attr-defined]
    assert response.status_code == 200, response.status_code


def _fill_volumes(count: int) -> None:
    """Have `count` volumes in a pool; every third is a disk of a guest, every tenth lies on another."""
    from guests.models import Disk, Guest
    from hosts.models import Host
    from storage.models import Pool, Volume

    pool = Pool.objects.create(host=Host.objects.all()[0], uuid=uuid.uuid4(), name="store", type="dir", is_active=True)
    made = Volume.objects.bulk_create(
        Volume(
            pool=pool,
            name=f"v{n:05}.qcow2",
            path=f"/store/v{n:05}.qcow2",
            format="qcow2",
            capacity_bytes=20 * 2**30,
            backing_path=f"/store/v{n - 1:05}.qcow2" if n % 10 == 1 else "",
        )
        for n in range(count)
    )
    guests = Guest.objects.values_list("pk", flat=True)[:count]
    Disk.objects.bulk_create(
        Disk(guest_id=guest, target="vdz", source=volume.path, volume=volume)
        for guest, volume in zip(guests, made[::3], strict=False)
    )


def _fill(count: int) -> None:
    """Have `count` guests on ten hosts, each with a disk, a network card and an address."""
    from guests.models import Disk, Guest, Nic
    from hosts.models import Host

    hosts = [
        Host.objects.get_or_create(name=f"kvm-{n:02}", uri=f"test:///{n}", state="connected")[0] for n in range(HOSTS)
    ]
    states = ["running", "running", "running", "shutoff", "paused", "crashed"]
    start = Guest.objects.count()
    guests = Guest.objects.bulk_create(
        Guest(
            host=hosts[n % HOSTS],
            uuid=uuid.UUID(int=n + 1),
            name=f"guest-{n:05}",
            state=states[n % len(states)],
            vcpus=2,
            memory_mib=2048,
            memory_used_mib=900,
            cpu_percent=12.5,
            addresses=[{"address": f"10.0.{n // 250}.{n % 250}", "source": "lease", "mac": ""}],
            xml="<domain/>",
        )
        for n in range(start, count)
    )
    Disk.objects.bulk_create(
        Disk(guest=guest, target="vda", bus="virtio", source=f"/x/{guest.name}") for guest in guests
    )
    Nic.objects.bulk_create(
        Nic(guest=guest, mac=f"52:54:00:00:{n // 256 % 256:02x}:{n % 256:02x}", kind="network", source="default")
        for n, guest in enumerate(guests)
    )
