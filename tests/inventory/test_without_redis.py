"""Redis gone: pages answer, and what somebody asks for waits in the database."""

import uuid

import pytest
from django.conf import settings
from django.test import override_settings

from guests import services
from guests.models import Guest
from jobs.models import Job

NOWHERE = "unix:///nonexistent/redis.sock"
WITHOUT_REDIS = override_settings(
    CACHES=settings.CACHES
    | {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"{NOWHERE}?db=1"}},
    CHANNEL_LAYERS={"default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [NOWHERE]}}},
)


@pytest.fixture
def guest(local_host) -> Guest:
    return Guest.objects.create(host=local_host, uuid=uuid.uuid4(), name="kvt-no-redis", state="shutoff")


@WITHOUT_REDIS
@pytest.mark.parametrize("path", ["/", "/hosts/", "/guests/", "/jobs/", "/networks/", "/isos/", "/guests/{pk}/"])
def test_pages_answer(guest, admin, client, path):
    client.force_login(admin)
    page = client.get(path.format(pk=guest.pk))
    assert page.status_code == 200
    assert "admin" in page.content.decode()


@WITHOUT_REDIS
def test_a_job_waits(guest, admin, monkeypatch, django_capture_on_commit_callbacks):
    from kvmweb.celery import app

    monkeypatch.setattr(app.conf, "broker_url", "redis+socket:///nonexistent/redis.sock")
    with django_capture_on_commit_callbacks(execute=True):
        job = services.power(guest, "start", by=admin)
    assert Job.objects.get(pk=job.pk).status == Job.Status.QUEUED
