"""The scheduler's process: `python -m kvmweb.scheduler`.

Celery's own command line brings an interactive shell with it, 10 MiB that a scheduler never uses.
https://docs.celeryq.dev/en/stable/userguide/periodic-tasks.html
"""

from kvmweb.celery import app


def main() -> None:
    """Send what is due, until SIGTERM."""
    app.Beat(loglevel="INFO").run()


if __name__ == "__main__":
    main()
