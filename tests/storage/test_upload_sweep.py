"""The sweeper: what was abandoned goes, what was nearly done is finished, what is under way is left alone."""

import os
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from hosts.models import Host
from storage.helper.parts import part_name
from storage.models import Pool, Upload
from storage.uploads.part import Part
from storage.uploads.sweeper import sweep_uploads

DAY_S = 86_400


@pytest.fixture
def pool(local_host: Host, tmp_path: Path) -> Pool:
    return Pool.objects.create(
        host=local_host, uuid=uuid.uuid4(), name="iso", type="dir", target_path=str(tmp_path), is_active=True
    )


@pytest.fixture
def new_upload(pool: Pool, operator: Any):
    """An upload of five bytes, of which `content` arrived `age_s` ago; None: there is no part."""

    def make(name: str, content: bytes | None, *, age_s: float, state: str = "receiving") -> Upload:
        then = timezone.now() - timedelta(seconds=age_s)
        upload = Upload.objects.create(
            pool=pool, name=name, size_bytes=5, created_by=operator, state=state, created_at=then, touched_at=then
        )
        if content is not None:
            part = Path(pool.target_path) / part_name(str(upload.pk))
            part.write_bytes(content)
            os.utime(part, (time.time() - age_s, time.time() - age_s))
        return upload

    return make


def state_of(upload: Upload) -> str:
    upload.refresh_from_db()
    return upload.state


def files(pool: Pool) -> set[str]:
    return {path.name for path in Path(pool.target_path).iterdir()}


@pytest.mark.django_db(transaction=True)
def test_the_sweeper_settles_everything_once(pool: Pool, new_upload):
    under_way = new_upload("under-way.iso", b"123", age_s=3600)
    abandoned = new_upload("abandoned.iso", b"123", age_s=DAY_S + 60)
    whole = new_upload("whole.iso", b"12345", age_s=3600)
    finishing = new_upload("finishing.iso", b"12345", age_s=3600, state="finishing")
    named = new_upload("named.iso", None, age_s=3600, state="finishing")
    (Path(pool.target_path) / "named.iso").write_bytes(b"12345")
    lost = new_upload("lost.iso", None, age_s=3600)
    cancelled = new_upload("cancelled.iso", b"123", age_s=3600, state="cancelled")
    just_now = new_upload("just-now.iso", None, age_s=1)
    (Path(pool.target_path) / part_name(str(uuid.uuid4()))).write_bytes(b"orphan")
    (Path(pool.target_path) / "not-ours.part").touch()

    assert sweep_uploads() == {"abandoned": 1, "finished": 3, "lost": 1, "orphans": 2}
    assert [state_of(u) for u in (under_way, just_now)] == ["receiving"] * 2
    assert [state_of(u) for u in (whole, finishing, named)] == ["done"] * 3
    assert [state_of(u) for u in (abandoned, lost)] == ["failed"] * 2
    assert state_of(cancelled) == "cancelled"
    assert "for a day" in abandoned.error
    assert lost.error.endswith("Start the upload again.")
    assert whole.job_id
    expected = {"whole.iso", "finishing.iso", "named.iso", "not-ours.part", part_name(str(under_way.pk))}
    assert files(pool) == expected
    assert sweep_uploads() == {}


@pytest.mark.django_db(transaction=True)
def test_a_part_that_is_being_written_is_left_alone(pool: Pool, new_upload):
    old = new_upload("old.iso", b"123", age_s=2 * DAY_S)
    whole = new_upload("whole.iso", b"12345", age_s=3600)
    with Part(pool.target_path, str(old.pk)) as one, Part(pool.target_path, str(whole.pk)) as other:
        assert one.try_lock()
        assert other.try_lock()
        assert sweep_uploads() == {}
    assert sweep_uploads() == {"abandoned": 1, "finished": 1}


@pytest.mark.django_db(transaction=True)
def test_a_taken_name_keeps_the_upload_until_its_day_is_over(pool: Pool, new_upload):
    (Path(pool.target_path) / "taken.iso").write_bytes(b"another")
    upload = new_upload("taken.iso", b"12345", age_s=3600)
    assert sweep_uploads() == {}
    assert state_of(upload) == "receiving"
    assert "exists already" in upload.error
    assert part_name(str(upload.pk)) in files(pool)


@pytest.mark.django_db(transaction=True)
def test_pools_that_are_not_there_are_left_alone(pool: Pool, new_upload):
    upload = new_upload("a.iso", None, age_s=3600)
    Pool.objects.filter(pk=pool.pk).update(target_path="/nowhere/at/all")
    assert sweep_uploads() == {}
    assert state_of(upload) == "receiving"
