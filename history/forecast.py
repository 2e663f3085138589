"""When a pool will be full, if it goes on as in the last week."""

import math
import time

from . import store
from .series import DAY, POOL

LEAST_KNOWN_S = 3 * DAY
WORTH_TELLING_S = 90 * DAY


def full_in_s(pool_pk: int, *, now: float | None = None) -> float | None:
    """Seconds until the pool is full, by the straight line through what it held in the last week.

    None where it does not grow, where that is more than three months away, or where less than three days are known.
    """
    read = store.read(POOL, pool_pk, "week", now=time.time() if now is None else now)
    free = next((value for value in reversed(read.average["available_bytes"]) if value is not None), None)
    held = read.average["used_bytes"]
    known = [(n * read.step_s, value) for n, value in enumerate(held) if value is not None]
    if free is None or not known or known[-1][0] - known[0][0] < LEAST_KNOWN_S:
        return None
    mean_at = math.fsum(at for at, _value in known) / len(known)
    mean = math.fsum(value for _at, value in known) / len(known)
    spread = math.fsum((at - mean_at) ** 2 for at, _value in known)
    bytes_per_s = math.fsum((at - mean_at) * (value - mean) for at, value in known) / spread
    if bytes_per_s * WORTH_TELLING_S <= free:
        return None
    return free / bytes_per_s
