"""Who uses most and whose size does not fit: from history, for those who may see the guests, at a constant cost."""

import time
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from guests.models import Guest
from guests.usage import sizing
from guests.usage.measure import measure
from guests.usage.models import Usage
from guests.usage.tasks import measure_usage, sweep_history
from history import store
from history.series import DAY, GUEST, HOUR
from hosts.models import Host

pytestmark = pytest.mark.django_db
GIB = 2**30


@pytest.fixture(autouse=True)
def _own_history(settings, tmp_path):
    settings.VAR = tmp_path


@pytest.fixture
def host():
    return Host.objects.create(name="kvt-usage", uri="test:///kvt-usage", state="connected")


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("kvt-admin", password="only for this test"))
    return client


def new_guest(host: Host, name: str, **columns) -> Guest:
    columns = {"vcpus": 4, "memory_mib": 8192, "state": "running"} | columns
    return Guest.objects.create(host=host, uuid=uuid.uuid4(), name=name, **columns)


def lived(guest: Guest, *, days: float = 14, cpu=50.0, wait=0.0, used=6 * GIB, disk=10**6, net=10**5) -> None:
    """Samples of so many days until now, one a minute."""
    now = int(time.time())
    values = (cpu, wait, used, used, disk / 2, disk / 2, 5.0, 5.0, net / 2, net / 2, 5.0, 5.0)
    begin = now - int(days * DAY)
    store.record(GUEST, {guest.pk: values}, begin)
    line = ":".join("U" if value is None else str(value) for value in values)
    for hour in range(begin, now, HOUR):
        times = range(hour + 60, min(hour + HOUR, now) + 1, 60)
        if times:
            store._rrdtool().update(str(store.path_of(GUEST, guest.pk)), *(f"{at}:{line}" for at in times))


def kinds(guest: Guest) -> list[str]:
    return [hint.kind for hint in sizing.hints(measure(guest, Usage.Period.FORTNIGHT))]


def test_a_guest_that_is_too_big_is_told_what_would_do(host):
    guest = new_guest(host, "big", vcpus=8)
    lived(guest, cpu=20.0, used=2 * GIB)
    usage = measure(guest, Usage.Period.FORTNIGHT)
    assert (usage.vcpus_advised, usage.memory_advised_mib) == (3, 2816)
    assert round(usage.cpu_peak_p95_percent) == 20
    assert usage.known_hours == pytest.approx(336, abs=2)
    less_cpu, less_memory = sizing.hints(usage)
    assert less_cpu.title == "3 vCPUs would do"
    assert less_cpu.text == (
        "In 95 of 100 hours the busiest ten seconds took 20 % of its 8 vCPUs; the busiest of all took 20 %."
    )
    assert less_memory.text.startswith("In 95 of 100 hours the guest used 2 GiB of 8 GiB at most")


@pytest.mark.parametrize(
    ("life", "expected"),
    [
        ({"cpu": 60.0, "used": 6 * GIB}, []),
        ({"cpu": 95.0}, ["more_cpu"]),
        ({"used": 7.8 * GIB}, ["more_memory"]),
        ({"cpu": 1.0, "disk": 0, "net": 100}, ["idle", "less_cpu"]),
        ({"wait": 25.0}, ["crowded"]),
        ({"used": None}, []),  # no balloon driver: nothing is said of its memory
    ],
)
def test_hints_follow_from_two_weeks(host, life, expected):
    guest = new_guest(host, "a")
    lived(guest, **life)
    assert kinds(guest) == expected


def test_a_peak_now_and_then_is_no_reason_for_less(host):
    """Busy for a minute in each hour: the average is low, and less would still be felt."""
    guest = new_guest(host, "bursts")
    now = int(time.time())
    file = str(store.path_of(GUEST, guest.pk))
    store.record(GUEST, {guest.pk: (5.0, 0.0, None, *(5.0,) * 9)}, now - 14 * DAY)
    for hour in range(now - 14 * DAY + 60, now - HOUR, HOUR):
        busy = (f"{hour + at}:{90 if at < 120 else 5}:0:U" + ":5" * 9 for at in range(0, HOUR, 60))
        store._rrdtool().update(file, *busy)
    assert kinds(guest) == []


@pytest.mark.parametrize("days", [0, 0.1, 2, 6])
def test_too_short_a_history_says_so(host, admin, days):
    guest = new_guest(host, "young")
    if days:
        lived(guest, days=days, cpu=1.0)
    answer = admin.get(f"/api/v1/guests/{guest.pk}/sizing").json()
    assert answer["hints"] == []
    assert answer["vcpus_advised"] is None
    assert answer["why_unknown"].startswith("Too little is known yet")
    assert answer["why_unknown"] in admin.get(f"/guests/{guest.pk}/graphs/").content.decode()


def test_who_uses_most_now(host, admin):
    new_guest(host, "one", cpu_percent=100.0, vcpus=1, memory_held_mib=100, net_rx_bytes_per_s=10)
    new_guest(host, "many", cpu_percent=50.0, vcpus=8, memory_held_mib=50, disk_write_bytes_per_s=10**6)
    new_guest(host, "off", state="shutoff")

    def names(query: str) -> list[str]:
        return [row["name"] for row in admin.get(f"/api/v1/guests/top?{query}").json()]

    assert names("by=cpu") == ["many", "one"]
    assert names("by=memory") == ["one", "many"]
    assert names("by=disk") == ["many"]
    assert names("by=network") == ["one"]
    assert names(f"by=cpu&host={host.pk + 1}") == []
    assert admin.get("/api/v1/guests/top?by=horses").status_code == 422


def test_who_uses_most_over_a_week_counts_the_time_that_it_was_off(host, admin):
    always, briefly = new_guest(host, "always"), new_guest(host, "briefly")
    lived(always, cpu=30.0)
    lived(briefly, days=0.5, cpu=90.0)
    measure_usage()
    measure_usage()  # again: one row for each period
    assert Usage.objects.count() == 2 * 3
    rows = admin.get("/api/v1/guests/top?by=cpu&period=week").json()
    assert [row["name"] for row in rows] == ["always", "briefly"]
    assert rows[0]["busy_vcpus"] == pytest.approx(1.2, abs=0.05)
    assert rows[1]["busy_vcpus"] == pytest.approx(3.6 / 14, abs=0.05)


def test_pages_list_consumers_and_misfits(host, admin):
    assert "No guest of a wrong size" in admin.get("/usage/sizes/").content.decode()
    assert "Nothing measured yet" in admin.get("/usage/?period=week").content.decode()
    guest = new_guest(host, "kvt-idle", cpu_percent=1.0, memory_held_mib=10)
    lived(guest, cpu=1.0, disk=0, net=0, used=GIB)
    measure_usage()
    assert "kvt-idle" in admin.get("/usage/?by=memory&period=day").content.decode()
    assert "kvt-idle" in admin.get("/usage/").content.decode()
    assert "It does nothing. Is it needed?" in admin.get("/usage/sizes/").content.decode()
    assert admin.get("/usage/?by=x&period=y&host=z&page=q").status_code == 200


def test_others_guests_are_not_among_them(host, client):
    new_guest(host, "secret", cpu_percent=100.0)
    client.force_login(User.objects.create_user("kvt-nobody", password="only for this test"))
    assert client.get("/api/v1/guests/top").json() == []
    assert "secret" not in client.get("/usage/").content.decode()


@pytest.mark.parametrize("path", ["/usage/", "/usage/?period=week", "/usage/sizes/"])
def test_pages_cost_the_same_queries_for_any_number_of_guests(host, admin, path):
    def cost() -> int:
        admin.get(path)
        with CaptureQueriesContext(connection) as queries:
            assert admin.get(path).status_code == 200
        return len(queries)

    def fill(first: int, count: int) -> None:
        for n in range(first, first + count):
            guest = new_guest(host, f"g{n}", cpu_percent=50.0)
            for period in ("week", "fortnight"):
                Usage.objects.create(
                    guest=guest, period=period, measured_at="2026-11-22T12:00Z", busy_vcpus=n + 1, is_idle=True
                )

    fill(0, 2)
    few = cost()
    fill(2, 20)
    assert cost() == few


def test_the_history_of_deleted_guests_is_swept(host):
    guest = new_guest(host, "gone")
    store.record(GUEST, {guest.pk: (1.0,) * 12, guest.pk + 1: (1.0,) * 12}, time.time() - 40 * DAY)
    sweep_history()
    assert store.path_of(GUEST, guest.pk).exists()
    assert not store.path_of(GUEST, guest.pk + 1).exists()
