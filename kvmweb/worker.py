"""The process of the workers: `python -m kvmweb.worker PROCESSES`.

Celery's own command line brings an interactive shell with it, which a worker never uses.
https://docs.celeryq.dev/en/stable/userguide/workers.html
"""

import sys

from kvmweb.celery import app


def main(processes: int) -> int:
    """Run jobs in so many processes, until SIGTERM. Gives the exit status."""
    worker = app.Worker(
        pool_cls="prefork", concurrency=processes, loglevel="INFO", without_gossip=True, without_mingle=True
    )
    worker.start()
    return worker.exitcode or 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
