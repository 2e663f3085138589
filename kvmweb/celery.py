"""The Celery application. Settings are Django's with the prefix CELERY_."""

import gc
import os

from celery import Celery
from celery.signals import beat_init, worker_before_create_process, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kvmweb.settings")
# script/check runs Django's checks; a worker that did would import every page and every REST schema for them (25 MiB).
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")
app = Celery("kvmweb")
app.config_from_object("django.conf:settings", namespace="CELERY")
if os.environ.get("KVMWEB_TASKS") != "false":  # the scheduler sends them by name: loaded, they take 10 MiB
    app.autodiscover_tasks()
    app.autodiscover_tasks(  # a room's jobs beside its own tasks.py
        ["storage.copies", "storage.current", "storage.fetching", "storage.importing", "storage.trees", "guests.usage"]
    )


@worker_before_create_process.connect  # type: ignore[untyped-decorator]
def _share_memory(**_kwargs: object) -> None:
    """What is loaded by now is garbage never again: the collector would copy its pages into each child."""
    gc.freeze()


@worker_ready.connect  # type: ignore[untyped-decorator]
def _worker_lives(**_kwargs: object) -> None:
    _start_beating("worker")
    app.send_task("jobs.tasks.recover")  # what a crash left behind is put right at once


@beat_init.connect  # type: ignore[untyped-decorator]
def _scheduler_lives(**_kwargs: object) -> None:
    _start_beating("scheduler")


def _start_beating(process: str) -> None:
    from jobs.heartbeat import start_beating  # settings must be loaded first

    start_beating(process)
