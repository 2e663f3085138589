"""Rows of what is over are kept for a while, and no longer."""

import uuid
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from guests.models import Disk, Guest
from storage import forgetting, tasks
from storage.models import Iso, Pool, Upload, Volume

pytestmark = pytest.mark.django_db


@pytest.fixture
def pool(local_host) -> Pool:
    return Pool.objects.create(host=local_host, uuid=uuid.uuid4(), name="kvt-forgotten", type="dir", target_path="/s")


def ago(**span: float) -> datetime:
    return timezone.now() - timedelta(**span)


def test_uploads_that_ended_are_forgotten_after_a_week(pool):
    def upload(name, state, **columns):
        Upload.objects.create(pool=pool, name=name, size_bytes=1, state=state, **columns)

    old = ago(days=7, minutes=1)
    upload("done", "done", completed_at=old, touched_at=old)
    upload("failed", "failed", touched_at=old)
    upload("cancelled", "cancelled", touched_at=old)
    upload("new", "done", completed_at=ago(days=6), touched_at=old)
    upload("under-way", "receiving", touched_at=old)  # the sweeper's to judge, with its bytes
    assert forgetting.forget_old_rows() == {"uploads": 3, "volumes": 0}
    assert set(Upload.objects.values_list("name", flat=True)) == {"new", "under-way"}


def test_volumes_that_vanished_are_forgotten_after_a_month_unless_a_guest_has_them(pool, monkeypatch):
    def volume(name, **span):
        return Volume.objects.create(
            pool=pool, name=name, path=f"/s/{name}", missing_since=ago(**span) if span else None
        )

    guest = Guest.objects.create(host=pool.host, uuid=uuid.uuid4(), name="kvt-forgotten", vcpus=1, memory_mib=64)
    volume("there")
    volume("just-gone", days=29)
    used = volume("used", days=400)
    Disk.objects.create(guest=guest, target="vda", source=used.path, volume=used)
    image = Iso.objects.create(volume=volume("gone.iso", days=31))
    upload = Upload.objects.create(
        pool=pool, name="gone.iso", size_bytes=1, state="done", completed_at=ago(days=1), iso=image
    )
    for number in range(7):
        volume(f"gone-{number}", days=31)
    monkeypatch.setattr(forgetting, "AT_ONCE", 3)
    tasks.sweep()
    assert set(Volume.objects.values_list("name", flat=True)) == {"there", "just-gone", "used"}
    assert not Iso.objects.exists()
    upload.refresh_from_db()
    assert upload.iso is None
    with CaptureQueriesContext(connection) as queries:
        assert forgetting.forget_old_rows() == {"uploads": 0, "volumes": 0}
    assert len(queries) <= 3
