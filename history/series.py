"""What is kept of each kind of thing, and for how long."""

from typing import NamedTuple

MINUTE, HOUR, DAY = 60, 3600, 86400


class Archive(NamedTuple):
    """One resolution: `rows` values of `step_s` each. Coarse ones keep the highest value beside the average."""

    range: str
    step_s: int
    rows: int


class Kind(NamedTuple):
    """A kind of thing. The order of `series` is that of the file: new ones come at its end."""

    name: str
    step_s: int
    series: tuple[str, ...]
    archives: tuple[Archive, ...]


# How far back each range of a graph reaches. An archive holds a little more than its range.
RANGES = {"hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 31 * DAY, "year": 366 * DAY}


def _archives(finest_s: int, of_a_day_s: int) -> tuple[Archive, ...]:
    return (
        Archive("hour", finest_s, HOUR // finest_s + 60),
        Archive("day", of_a_day_s, DAY // of_a_day_s + 30),
        Archive("week", 15 * MINUTE, 7 * 96 + 28),
        Archive("month", HOUR, 32 * 24),
        Archive("year", DAY, 400),
    )


GUEST = Kind(
    "guest",
    10,
    (
        "cpu_percent",  # of all its vCPUs
        "cpu_wait_percent",  # of the time, its vCPUs were ready and the host had no processor for them
        "memory_used_bytes",  # as the guest sees it
        "memory_held_bytes",  # what its process holds on the host
        "disk_read_bytes_per_s",
        "disk_write_bytes_per_s",
        "disk_reads_per_s",
        "disk_writes_per_s",
        "net_rx_bytes_per_s",
        "net_tx_bytes_per_s",
        "net_rx_packets_per_s",
        "net_tx_packets_per_s",
    ),
    _archives(10, 2 * MINUTE),
)
HOST = Kind(
    "host",
    10,
    (
        "cpu_percent",
        "cpu_iowait_percent",
        "memory_used_bytes",
        "load",  # the average of one minute
        "pressure_cpu_percent",  # of the time, something waited for it
        "pressure_memory_percent",
        "pressure_io_percent",
        "pressure_memory_full_percent",  # of the time, everything waited for it
        "pressure_io_full_percent",
    ),
    _archives(10, 2 * MINUTE),
)
POOL = Kind("pool", MINUTE, ("used_bytes", "available_bytes", "capacity_bytes"), _archives(MINUTE, 5 * MINUTE))
KINDS = (GUEST, HOST, POOL)
