"""A libvirtd of our own that may be killed, and guests that nobody would expect: the rows say what is there."""

import os
import time
from typing import Any

import pytest
from django.utils import timezone

from guests.models import Guest
from hosts.models import Host
from inventory import sync
from tests.farm import farm, name_of, runner, virsh
from tests.inventory.conftest import ALIAS, wait_for
from virt import domain_reader
from virt.connection import connect

pytestmark = pytest.mark.libvirt
COUNT = 120
ODD = """<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
<name>gäst-测试-🐧 &amp; &lt;b&gt;</name><title>Überraschung ‮tset</title><description>строка\nдва</description>
<metadata><x:owner xmlns:x='http://example.org/x'>Zoë</x:owner></metadata><memory unit='MiB'>24</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><sysinfo type='smbios'><oemStrings><entry>a</entry></oemStrings>
</sysinfo><devices><hub type='usb'/><watchdog model='i6300esb' action='none'/></devices>
<qemu:commandline><qemu:arg value='-msg'/><qemu:arg value='timestamp=on'/></qemu:commandline></domain>"""


@pytest.fixture(scope="module")
def daemon():
    with farm(COUNT) as made:
        yield made


@pytest.fixture
def host(db, daemon) -> Host:
    return Host.objects.create(name="farm", uri=daemon.uri, state=Host.State.CONNECTED)


def names(host: Host) -> set[str]:
    return set(Guest.objects.filter(host=host, missing_since=None).values_list("name", flat=True))


def test_all_guests_are_seen_and_a_second_look_writes_nothing(host, daemon, django_assert_max_num_queries):
    with connect(daemon.uri) as conn:
        sync.all_guests(host, conn)
        assert names(host) == set(virsh(daemon, "list", "--all", "--name").split())
        guest = Guest.objects.get(name=name_of(7))
        assert (guest.vcpus, guest.memory_mib, guest.os_name, guest.has_agent_channel) == (2, 2048, "Debian 12", True)
        assert (guest.disks.count(), guest.nics.count(), guest.state) == (2, 1, "shutoff")
        before = list(Guest.objects.values_list("pk", "digest", "state_since"))
        with django_assert_max_num_queries(20):
            sync.all_guests(host, conn)
    assert list(Guest.objects.values_list("pk", "digest", "state_since")) == before


def test_a_guest_that_vanishes_between_listing_and_reading(host, daemon, tmp_path):
    (tmp_path / "guest.xml").write_text(virsh(daemon, "dumpxml", name_of(COUNT - 1)))
    with connect(daemon.uri) as conn:
        reader = domain_reader.DomainReader(conn)
        virsh(daemon, "undefine", name_of(COUNT - 1))
        found = {info.name for batch in reader.batches() for info in batch}
        assert len(reader.uuids) == len(found) + 1
        assert name_of(COUNT - 1) not in found
        sync.all_guests(host, conn)
        assert name_of(COUNT - 1) not in names(host)
        virsh(daemon, "define", str(tmp_path / "guest.xml"))


def test_a_guest_that_virsh_renamed_keeps_its_row(host, daemon):
    with connect(daemon.uri) as conn:
        sync.all_guests(host, conn)
        row = Guest.objects.get(name=name_of(3))
        virsh(daemon, "domrename", name_of(3), "kvt-farm-renamed")
        sync.states(host, conn)
        assert Guest.objects.get(pk=row.pk).name == "kvt-farm-renamed"
        virsh(daemon, "domrename", "kvt-farm-renamed", name_of(3))


def test_the_same_uuids_on_two_hosts_are_guests_of_each(host, daemon):
    twin = Host.objects.create(name="twin", uri=f"{daemon.uri}&twin=1")
    with connect(daemon.uri) as conn:
        sync.all_guests(host, conn)
        sync.all_guests(twin, conn)
        virsh(daemon, "autostart", name_of(5))
        sync.all_guests(twin, conn)
    assert Guest.objects.filter(uuid=Guest.objects.get(host=host, name=name_of(5)).uuid).count() == 2
    assert set(Guest.objects.filter(name=name_of(5)).values_list("host__name", "autostart")) == {
        ("farm", False),
        ("twin", True),
    }
    virsh(daemon, "autostart", "--disable", name_of(5))


def test_elements_that_nobody_has_modelled_and_every_script(host, daemon, admin, client):
    virsh(daemon, "define", "/dev/stdin", text=ODD)
    try:
        with connect(daemon.uri) as conn:
            sync.all_guests(host, conn)
        guest = Guest.objects.get(name__startswith="gäst")
        assert guest.name == "gäst-测试-🐧 & <b>"
        assert "qemu:commandline" in guest.xml
        client.force_login(admin)
        for url in ("/guests/?q=gäst", guest.get_absolute_url(), f"{guest.get_absolute_url()}hardware/"):
            page = client.get(url)
            assert page.status_code == 200
            assert "gäst-测试-🐧 &amp; &lt;b&gt;" in page.content.decode()
    finally:
        virsh(daemon, "undefine", "gäst-测试-🐧 & <b>")


def test_a_libvirtd_that_is_killed_and_started_again_is_right_within_five_seconds(site, daemon):
    site.new_host("farm", daemon.uri)
    guests = Guest.objects.using(ALIAS)

    def row(name: str) -> Any:
        return Host.objects.using(ALIAS).get(name=name)

    with runner(daemon) as name:
        site.start_watcher()
        wait_for(lambda: row("farm").is_connected, 60)
        assert guests.get(name=name).state == "running"
        assert guests.filter(missing_since=None).count() == COUNT + 1
        (qemu,) = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _is_qemu_of(pid, name)]

        daemon.kill()
        wait_for(lambda: row("farm").state == "unreachable", 5)
        assert guests.get(name=name).state == "running"  # as last seen
        os.kill(qemu, 9)
        time.sleep(6)  # attempts are further apart by now
        daemon.start()
        started = time.monotonic()
        wait_for(lambda: row("farm").is_connected and not guests.filter(name=name, state="running").exists(), 20)
        assert time.monotonic() - started < 5
        assert row("farm").seen_at <= timezone.now()


def _is_qemu_of(pid: str, name: str) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return f"guest={name},".encode() in file.read()
    except OSError:
        return False
