"""Logging: one line of structured text per event on stderr, where the supervisor collects it."""

import logging
from typing import Any

import structlog

SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

structlog.configure(
    processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Not each "not yet" of /readyz: who waits for it asks again and again, and the answer says what is missing."""
    return getattr(getattr(record, "request", None), "path", "") != "/readyz"


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": structlog.stdlib.ProcessorFormatter,
            # Plain: the rich traceback prints local variables, and so tokens and cookies.
            "processor": structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
            "foreign_pre_chain": SHARED,
        }
    },
    "filters": {"worth": {"()": "django.utils.log.CallbackFilter", "callback": _is_worth_a_line}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django.server": {"level": "WARNING"},
        "django.channels": {"level": "WARNING"},
        "django.request": {"level": "ERROR", "filters": ["worth"]},  # 404s are the user's business, not the log's
        "uvicorn.access": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
