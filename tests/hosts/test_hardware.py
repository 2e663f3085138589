"""Devices and details of a host: rows that follow libvirt, pages and REST that stay usable with hundreds."""

import re

import pytest
from django.urls import reverse

from hosts.hardware import rows
from hosts.hardware.models import HostDevice, HostReport
from hosts.models import Host
from virt import connection
from virt.types import NetDetails, NodeDevice, PciDetails

CARD = PciDetails(
    class_id="0x030000",
    is_bridge=False,
    is_express=True,
    physical_function="",
    virtual_functions=(),
    virtual_functions_max=0,
    mediated_types=(),
)


def pci(number: int, **given) -> NodeDevice:
    address = f"0000:{number >> 5:02x}:{number & 31:02x}.0"
    given = {"vendor": "NVIDIA Corporation", "vendor_id": "0x10de", "product_id": "0x1eb8", "details": CARD} | given
    return NodeDevice(name=f"pci_{number}", kind="pci", address=address, **given)


@pytest.fixture
def says(monkeypatch):
    """What libvirt says the host has."""
    told: list[NodeDevice] = []
    monkeypatch.setattr(rows, "list_devices", lambda conn: list(told))
    return told


@pytest.mark.libvirt
@pytest.mark.django_db(transaction=True)
def test_the_rows_are_the_devices_of_this_machine(local_host, virsh):
    with connection.connect(local_host.uri) as conn:
        assert rows.refresh(local_host, conn)
        assert not rows.refresh(local_host, conn)  # free memory moves, nobody is told
    names = set(local_host.devices.filter(kind="pci").values_list("name", flat=True))
    assert names == set(virsh("nodedev-list", "--cap", "pci").split())
    report = HostReport.objects.get(host=local_host)
    assert report.details["default_machine"] in virsh("domcapabilities", "--machine", "q35")
    assert report.details_at
    assert report.devices_at


def test_devices_come_change_and_go(host, says):
    says += [pci(1, driver="nvidia", iommu_group=24), pci(2, iommu_group=24)]
    assert rows.refresh_devices(host, conn=None)
    assert not rows.refresh_devices(host, conn=None)
    kept = host.devices.get(name="pci_1").pk
    says[:] = [pci(1, driver="vfio-pci", iommu_group=24), pci(3)]
    assert rows.refresh_devices(host, conn=None)
    assert list(host.devices.values_list("name", "driver")) == [("pci_1", "vfio-pci"), ("pci_3", "")]
    assert host.devices.get(name="pci_1").pk == kept


def test_what_a_host_claims_is_bounded(host, says, monkeypatch):
    monkeypatch.setattr(rows, "MOST_DEVICES", 3)
    says += [pci(number, product="x" * 5000, driver="y" * 500) for number in range(9)]
    rows.refresh_devices(host, conn=None)
    assert host.devices.count() == 3
    assert len(host.devices.first().product) == 255


@pytest.fixture
def many(host) -> list[HostDevice]:
    """Six hundred virtual functions, and a card that shares its group with its own sound."""
    made = [
        HostDevice(host=host, name=f"pci_v{n}", kind="pci", address=f"0000:18:{n // 8:02x}.{n % 8}", words=f"vf {n}")
        for n in range(600)
    ]
    for row in made:
        row.details = {"class_id": "0x020000", "physical_function": "0000:17:00.0"}
    for n, product in enumerate(("TU104GL [Tesla T4]", "TU104 HD Audio Controller")):
        address = f"0000:3b:00.{n}"
        made.append(
            HostDevice(
                host=host,
                name=f"pci_gpu{n}",
                kind="pci",
                address=address,
                vendor="NVIDIA Corporation",
                product=product,
                iommu_group=24,
                words=f"{address} nvidia corporation {product.lower()}",
                details={"class_id": "0x030000" if n == 0 else "0x040300"},
            )
        )
    return HostDevice.objects.bulk_create(made)


def test_hundreds_of_devices_cost_the_same_queries_as_few(client, viewer, host, request, django_assert_max_num_queries):
    HostDevice.objects.create(host=host, name="pci_0", kind="pci", address="0000:00:00.0", iommu_group=1)
    client.force_login(viewer)
    url = reverse("hosts:devices", args=[host.pk])
    with django_assert_max_num_queries(42) as few:
        assert client.get(url).status_code == 200
    request.getfixturevalue("many")
    with django_assert_max_num_queries(len(few.captured_queries)):
        page = client.get(url).content.decode()
    assert "0000:18:00.0" in page
    assert "0000:3b:00.0" not in page  # on a later page
    assert re.search(r"603", page)


def test_a_search_finds_a_card_and_says_who_shares_its_group(client, viewer, host, many):
    client.force_login(viewer)
    page = client.get(reverse("hosts:devices", args=[host.pk]), {"q": "TESLA"}).content.decode()
    assert "TU104GL [Tesla T4]" in page
    assert "0000:3b:00.1" in page  # as the other one in group 24
    assert "0000:18:00.0" not in page
    nothing = client.get(reverse("hosts:devices", args=[host.pk]), {"q": "warp drive"}).content.decode()
    assert "No device matches" in nothing


@pytest.mark.parametrize("odd", ["kind=%00", "kind=pci&q=%00", "page=99999", "q=" + "x" * 3000])
def test_odd_questions_do_no_harm(client, viewer, host, many, odd):
    client.force_login(viewer)
    assert client.get(reverse("hosts:devices", args=[host.pk]) + "?" + odd).status_code == 200


def test_a_host_whose_devices_are_unknown_says_so(client, viewer, host):
    client.force_login(viewer)
    page = client.get(reverse("hosts:devices", args=[host.pk])).content.decode()
    assert "No devices are known" in page


def test_interfaces_show_what_they_are_plugged_into(client, viewer, host, says):
    details = NetDetails(
        type="ethernet",
        mac="3c:ec:ef:12:34:56",
        state="up",
        speed_mbit=10000,
        mtu=9000,
        bridge="br0",
        is_virtual=False,
    )
    says.append(NodeDevice(name="net_eno1", kind="net", address="eno1", details=details))
    rows.refresh_devices(host, conn=None)
    client.force_login(viewer)
    page = client.get(reverse("hosts:devices", args=[host.pk]), {"kind": "net"}).content.decode()
    for shown in ("3c:ec:ef:12:34:56", "10 Gbit/s", "9000", "br0"):
        assert shown in page


def test_rest_lists_devices_with_who_shares_their_group(client, bearer, host, many):
    answer = client.get(f"/api/v1/hosts/{host.pk}/devices?search=tesla&kind=pci", **bearer)
    assert answer.status_code == 200
    (card,) = answer.json()["items"]
    assert (card["address"], card["iommu_group"], card["shares_group_with"]) == ("0000:3b:00.0", 24, ["0000:3b:00.1"])
    assert client.get(f"/api/v1/hosts/{host.pk}/devices?limit=5", **bearer).json()["count"] == 602


def test_devices_of_others_are_not_there(client, stranger, host, many):
    client.force_login(stranger)
    assert client.get(reverse("hosts:devices", args=[host.pk])).status_code == 404
    assert client.get(f"/api/v1/hosts/{host.pk}/devices").status_code == 404


def test_facts_show_the_machine(client, viewer, host):
    HostReport.objects.create(host=host, details=details_of_a_big_machine())
    client.force_login(viewer)
    page = client.get(reverse("hosts:facts", args=[host.pk])).content.decode()
    for shown in ("PowerEdge R640", "Silver 4210R", "0-1,4-5", "OVMF_CODE_4M", "x86-64-v2"):
        assert shown in page


def test_rest_gives_the_facts(client, bearer, host):
    HostReport.objects.create(host=host, details=details_of_a_big_machine())
    facts = client.get(f"/api/v1/hosts/{host.pk}/facts", **bearer).json()
    assert facts["details"]["machine_product"] == "PowerEdge R640"
    assert facts["facts"]["libvirt_version"] == "9.0.0"


def details_of_a_big_machine() -> dict:
    """As a watcher would have kept them."""
    import json
    from dataclasses import asdict

    from tests.virt.test_host_details import read

    baseline = ("lm", "cx16", "lahf_lm", "popcnt", "pni", "sse4.1", "sse4.2", "ssse3", "vmx", "aes")
    return json.loads(json.dumps(asdict(read(features=baseline))))


def test_a_disabled_host_keeps_its_devices(client, viewer, host, many):
    Host.objects.filter(pk=host.pk).update(state="disabled")
    client.force_login(viewer)
    assert b"0000:18:00.0" in client.get(reverse("hosts:devices", args=[host.pk])).content
