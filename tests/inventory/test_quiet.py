"""When nothing happens, nothing is written about and nothing is told."""

import time

from guests.models import Guest
from hosts.models import Host
from tests.inventory.conftest import ALIAS, Listener, wait_for

# libvirt's own driver for tests lives in the watcher's process: nobody else changes anything on this host.
URI = "test:///default"


def test_pages_hear_nothing_when_nothing_changes(site):
    site.new_host("quiet", URI)
    site.start_watcher()
    wait_for(lambda: Host.objects.using(ALIAS).get().is_connected, 60)
    guest = Guest.objects.using(ALIAS).get()
    assert (guest.name, guest.state) == ("test", "running")
    time.sleep(5)  # the first samples
    listener = Listener(
        site, f"guest-{guest.pk}", "guests", "hosts", "host-1", "networks", "pools", "volumes", "bridges"
    )
    time.sleep(25)  # a comparison of everything and two samples
    assert listener.topics == []
    assert Host.objects.using(ALIAS).get().seen_at
