"""The first page: totals, what needs somebody, the first steps; what it costs and what each user sees of it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Grant
from guests.models import Guest
from hosts.models import Host
from jobs.models import Job
from storage.models import Iso, Pool

GIB = 2**30


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


@pytest.fixture
def host(db) -> Host:
    now = timezone.now()
    return Host.objects.create(
        name="kvm-a01", uri="qemu:///system", state="connected", seen_at=now, cpus=8, memory_mib=16384,
        cpu_percent=25.0, memory_used_mib=4096, kvm_works=True, kvm_reason="It boots in 0.4 s.",
    )  # fmt: skip


@pytest.fixture
def fleet(host) -> None:
    """Sixty hosts with ten guests each, one of the hosts silent, and guests and pools in every kind of trouble."""
    now = timezone.now()
    hosts = Host.objects.bulk_create(
        Host(
            name=f"kvm-b{n:02d}", uri=f"qemu+ssh://b{n}/system", state="connected", seen_at=now, cpus=4, memory_mib=8192
        )
        for n in range(60)
    )
    states = ["running"] * 6 + ["shutoff"] * 2 + ["paused", "crashed"]
    Guest.objects.bulk_create(
        Guest(
            host=row, uuid=uuid(row.pk * 100 + n), name=f"g-{row.pk}-{n}", state=state, vcpus=2, memory_mib=1024,
            state_reason="io_error" if state == "paused" else "", cpu_percent=float(n) if state == "running" else None,
        )
        for row in hosts
        for n, state in enumerate(states)
    )  # fmt: skip
    Pool.objects.bulk_create(
        Pool(
            host=row, uuid=uuid(row.pk), name="store", type="dir", is_active=True,
            capacity_bytes=100 * GIB, allocation_bytes=95 * GIB, available_bytes=5 * GIB,
        )
        for row in hosts
    )  # fmt: skip
    Host.objects.filter(pk=hosts[0].pk).update(state="unreachable", error="kvm-b00 is off the network.")


def test_it_costs_the_same_for_one_host_and_for_six_hundred_guests(
    client, admin, host, request, django_assert_max_num_queries
):
    client.force_login(admin)
    with django_assert_max_num_queries(60) as few:
        client.get("/")
    request.getfixturevalue("fleet")
    with django_assert_max_num_queries(len(few.captured_queries) + 2):  # the last failed job, and the busiest's hosts
        page = client.get("/").content.decode()
    assert "All 61 hosts" in page


def test_totals_are_sums_over_hosts_guests_and_pools(client, viewer, host, fleet):
    client.force_login(viewer)
    page = " ".join(client.get("/").content.decode().split())
    assert "360<small> running of 600</small>" in page
    assert "60 crashed" in page
    assert "of 248 threads" in page
    assert "of 5.9 TiB" in page


def test_two_pools_on_one_file_system_count_once(client, viewer, host):
    for number, name in enumerate(("iso", "store")):
        Pool.objects.create(
            host=host, uuid=uuid(number), name=name, type="dir", is_active=True,
            capacity_bytes=100 * GIB, allocation_bytes=40 * GIB, available_bytes=60 * GIB,
        )  # fmt: skip
    client.force_login(viewer)
    page = " ".join(client.get("/").content.decode().split())
    assert "40 GiB<small> of 100 GiB</small>" in page


def test_trouble_is_listed_worst_first(client, viewer, host, fleet, admin):
    Job.objects.create(
        kind="start_guest", task="x", title="Start db-01", status="failed", error="No memory left.",
        finished_at=timezone.now(), created_by=viewer,
    )  # fmt: skip
    Host.objects.filter(pk=host.pk).update(kvm_works=False)
    client.force_login(viewer)
    page = client.get("/", {"part": "attention"}, headers={"HX-Request": "true"}).content.decode()
    order = [
        "No contact with host kvm-b00",
        "kvm-b00 is off the network.",
        "60 guests have crashed",
        "60 guests are paused",
        "Pool store on kvm-b00 is 95 % full",
        "1 job failed",
        "No memory left.",
        "Guests on kvm-a01 are emulated",
    ]
    places = [page.find(words) for words in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)
    assert "<html" not in page


def test_a_watcher_that_stopped_is_noticed(client, viewer, host):
    Host.objects.update(seen_at=timezone.now() - timedelta(minutes=5))
    client.force_login(viewer)
    assert b"The watcher is silent" in client.get("/").content
    Host.objects.update(state="connecting", seen_at=None, state_since=timezone.now() - timedelta(minutes=2))
    assert b"The watcher is silent" in client.get("/").content
    Host.objects.update(state_since=timezone.now())
    assert b"The watcher is silent" not in client.get("/").content


def test_nothing_wrong_shows_no_list(client, viewer, host):
    client.force_login(viewer)
    assert b"Needs attention" not in client.get("/").content


def test_the_first_steps_are_ticked_off_from_rows(client, operator, host):
    client.force_login(operator)
    assert b"2 of 5" in client.get("/").content
    pool = Pool.objects.create(host=host, uuid=uuid(1), name="iso", type="dir", is_active=True)
    Iso.objects.create(volume=pool.volumes.create(name="debian.iso", format="iso"))
    Guest.objects.create(host=host, uuid=uuid(2), name="first", state="shutoff")
    assert b"4 of 5" in client.get("/").content


def test_the_first_steps_explain_emulation(client, operator, host):
    Host.objects.update(kvm_works=False)
    client.force_login(operator)
    page = client.get("/").content.decode()
    assert "Guests are emulated here" in page
    assert "10 to 30 times slower" in page


def test_the_first_steps_can_be_closed_and_are_not_for_viewers(client, operator, viewer, host):
    client.force_login(operator)
    assert client.post("/first-steps/close/").status_code == 302
    assert b"New to KVM?" not in client.get("/").content
    client.cookies.clear()
    client.force_login(viewer)
    assert b"New to KVM?" not in client.get("/").content


def test_everybody_sees_their_own_part(client, stranger, host, fleet):
    client.force_login(stranger)
    page = client.get("/").content.decode()
    assert "kvm-a01" not in page
    assert "kvm-b00" not in page
    Grant.objects.create(user=stranger, role=Grant.Role.VIEWER, scope_kind="host", scope_id=host.pk)
    page = client.get("/").content.decode()
    assert "kvm-a01" in page
    assert "kvm-b00" not in page


def test_without_hosts_it_says_what_to_do(client, admin):
    client.force_login(admin)
    assert b"manage.py setup_site" in client.get("/").content
