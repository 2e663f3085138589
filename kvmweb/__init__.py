"""Wiring of kvmweb: settings, ASGI, Celery, URLs, the mounted REST routers, health. No domain logic."""

from .celery import app as celery_app

__all__ = ["celery_app"]
__version__ = "0.1.0"
