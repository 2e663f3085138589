"""A pool that grows is said to be full some day; one that does not, or of which little is known, is not."""

import re
import time
import uuid

import pytest

from history import store
from history.forecast import full_in_s
from history.series import DAY, HOUR, POOL
from storage.models import Pool

NOW = 1_800_000_000
GIB = 2**30
WHOLE = 100 * GIB


@pytest.fixture(autouse=True)
def _own_history(settings, tmp_path):
    settings.VAR = tmp_path


def grew(a_day: float, *, days: float = 7.0, from_: float = 50 * GIB, until: int = NOW) -> None:
    begin = until - int(days * DAY)
    lines = []
    for at in range(begin + HOUR, until + 1, 60):
        used = from_ + a_day * (at - begin) / DAY
        lines.append(f"{at}:{used}:{WHOLE - used}:{WHOLE}")
    store.record(POOL, {1: (from_, WHOLE - from_, float(WHOLE))}, begin)
    store._rrdtool().update(str(store.path_of(POOL, 1)), *lines)


def test_it_goes_on_as_in_the_last_week():
    grew(2 * GIB)
    assert full_in_s(1, now=NOW) == pytest.approx(18 * DAY, rel=0.02)


@pytest.mark.parametrize("a_day", [0, -GIB, 0.1 * GIB])
def test_a_pool_that_hardly_grows_is_not_spoken_of(a_day):
    grew(a_day)
    assert full_in_s(1, now=NOW) is None


def test_too_little_is_known_for_a_guess():
    assert full_in_s(1, now=NOW) is None
    grew(20 * GIB, days=1)
    assert full_in_s(1, now=NOW) is None


@pytest.mark.django_db
def test_the_page_of_the_pool_says_so(admin, client, local_host):
    pool = Pool.objects.create(pk=1, host=local_host, uuid=uuid.uuid4(), name="kvt", type="dir", is_active=True)
    client.force_login(admin)
    assert "goes on as in the last week" not in client.get(pool.get_absolute_url()).content.decode()
    grew(2 * GIB, until=int(time.time()))
    assert re.search("this pool is full in 1[78] d", client.get(pool.get_absolute_url()).content.decode())
