"""Graphs on pages and over REST: of an hour to a year, for those who may see the thing, cheap, and empty at first."""

import time
import uuid

import pytest
from django.test import Client

from accounts.models import User
from guests.models import Guest
from history import store
from history.series import GUEST, HOST, POOL, RANGES, Kind
from hosts.models import Host
from storage.models import Pool

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_history(settings, tmp_path):
    settings.VAR = tmp_path


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("kvt-admin", password="only for this test"))
    return client


@pytest.fixture
def things():
    host = Host.objects.create(name="kvt-host", uri="test:///kvt-history", state="connected", memory_mib=4096)
    guest = Guest.objects.create(host=host, uuid=uuid.uuid4(), name="kvt-web", state="running", vcpus=2, memory_mib=512)
    pool = Pool.objects.create(host=host, uuid=uuid.uuid4(), name="kvt-pool", type="dir", is_active=True)
    return {
        "guests": (GUEST, guest, f"/guests/{guest.pk}/graphs/"),
        "hosts": (HOST, host, f"/hosts/{host.pk}/graphs/"),
        "pools": (POOL, pool, pool.get_absolute_url()),
    }


def used(kind: Kind, pk: int, value: float = 42.0) -> None:
    """Half an hour of samples, until now."""
    now = int(time.time())
    for at in range(now - 1800, now, kind.step_s):
        assert store.record(kind, {pk: (value,) * len(kind.series)}, at)


@pytest.mark.parametrize("range_", RANGES)
@pytest.mark.parametrize("name", ["guests", "hosts", "pools"])
def test_rest_has_every_range_of_every_thing(admin, things, name, range_):
    kind, row, _page = things[name]
    used(kind, row.pk)
    answer = admin.get(f"/api/v1/{name}/{row.pk}/history?range={range_}").json()
    assert set(answer["series"]) == set(kind.series)
    values = answer["series"][kind.series[0]]["average"]
    assert {value for value in values if value is not None} == {42.0}
    assert answer["start"] + answer["step_s"] * len(values) == pytest.approx(time.time(), abs=answer["step_s"] + 5)


def test_rest_gives_the_series_that_are_asked_for(admin, things):
    _kind, guest, _page = things["guests"]
    path = f"/api/v1/guests/{guest.pk}/history"
    assert list(admin.get(f"{path}?series=cpu_percent").json()["series"]) == ["cpu_percent"]
    refused = admin.get(f"{path}?series=cpu_percent,horses")
    assert (refused.status_code, refused.json()["field"]) == (422, "series")
    assert admin.get(f"{path}?range=century").status_code == 422


@pytest.mark.parametrize("name", ["guests", "hosts", "pools"])
def test_history_is_for_those_who_may_see_the_thing(client, things, name):
    kind, row, page = things[name]
    used(kind, row.pk)
    client.force_login(User.objects.create_user("kvt-nobody", password="only for this test"))
    assert client.get(f"/api/v1/{name}/{row.pk}/history").status_code == 404
    assert client.get(page).status_code == 404


@pytest.mark.parametrize("name", ["guests", "hosts", "pools"])
def test_a_page_shows_figures_in_words_too(admin, things, name):
    kind, row, page = things[name]
    empty = admin.get(page).content.decode()
    assert "data-graphs-empty>" in empty
    assert "data-graphs-shown hidden" in empty
    used(kind, row.pk)
    html = admin.get(f"{page}?range=day").content.decode()
    assert "data-graphs-empty hidden" in html
    assert f'data-graphs="/api/v1/{name}/{row.pk}/history" data-range="day"' in html
    assert ('data-figure="average">42 %' if name != "pools" else 'data-figure="average">42 B') in html
    assert admin.get(f"{page}?range=nonsense").status_code == 200


def test_a_renamed_guest_keeps_its_history(admin, things):
    kind, guest, _page = things["guests"]
    used(kind, guest.pk)
    Guest.objects.filter(pk=guest.pk).update(name="kvt-renamed")
    answer = admin.get(f"/api/v1/guests/{guest.pk}/history").json()
    assert 42.0 in answer["series"]["cpu_percent"]["average"]


def test_lines_that_nobody_knows_are_left_out(admin, things):
    """A remote host has neither load nor pressure."""
    kind, host, page = things["hosts"]
    for ago in (40, 30, 20, 10):
        store.record(kind, {host.pk: (10.0, 1.0, 2.0**30, *(None,) * 6)}, time.time() - ago)
    html = admin.get(page).content.decode()
    assert 'data-graph="cpu_percent cpu_iowait_percent"' in html
    assert "pressure_cpu_percent" not in html
