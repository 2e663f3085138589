"""Details and devices of a host are read when it is connected, and again when somebody asks."""

import pytest
from django.utils import timezone

from hosts.hardware.models import HostDevice, HostReport
from hosts.models import Host
from tests.inventory.conftest import ALIAS, wait_for

pytestmark = pytest.mark.libvirt


def test_devices_are_read_and_what_was_missed_heals(watched, virsh):
    theirs = set(virsh("nodedev-list", "--cap", "pci").split())
    devices = HostDevice.objects.using(ALIAS).filter(kind="pci")
    wait_for(lambda: set(devices.values_list("name", flat=True)) == theirs, 20)
    report = HostReport.objects.using(ALIAS).get()
    assert report.details["default_machine"] in virsh("domcapabilities", "--machine", "q35")

    devices.first().delete()
    HostDevice.objects.using(ALIAS).create(host_id=report.host_id, name="pci_gone", kind="pci", address="ffff:00:00.0")
    Host.objects.using(ALIAS).update(check_requested_at=timezone.now())
    wait_for(lambda: set(devices.values_list("name", flat=True)) == theirs, 20)
