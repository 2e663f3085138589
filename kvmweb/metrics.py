"""What Prometheus reads at /metrics: counted from rows at each scrape, so that every web process says the same."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count
from django.utils import timezone
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from guests.models import Guest
from hosts.models import Host
from jobs.models import Job
from storage.models import Pool

MIB = 2**20
MOST_GUESTS = 10_000  # of those that run; each has a dozen lines
FRESH = timedelta(minutes=3)  # older samples are left out: Prometheus shows a gap rather than a line that stands still
# column → (metric, what it is, factor)
GUEST_FIGURES = {
    "cpu_percent": ("cpu_ratio", "CPU in use of all its vCPUs, 0 to 1", 0.01),
    "cpu_wait_percent": ("cpu_wait_ratio", "Time that its vCPUs waited for the host, 0 to 1", 0.01),
    "vcpus": ("vcpus", "vCPUs", 1),
    "memory_mib": ("memory_bytes", "Memory that it was given", MIB),
    "memory_used_mib": ("memory_used_bytes", "Memory in use as the guest sees it", MIB),
    "memory_held_mib": ("memory_held_bytes", "Memory that its process holds on the host", MIB),
    "disk_read_bytes_per_s": ("disk_read_bytes_per_second", "Read from its disks", 1),
    "disk_write_bytes_per_s": ("disk_write_bytes_per_second", "Written to its disks", 1),
    "net_rx_bytes_per_s": ("network_receive_bytes_per_second", "Received", 1),
    "net_tx_bytes_per_s": ("network_transmit_bytes_per_second", "Sent", 1),
}
HOST_FIGURES = {
    "cpu_percent": ("cpu_ratio", "CPU in use, 0 to 1", 0.01),
    "memory_used_mib": ("memory_used_bytes", "Memory in use", MIB),
    "memory_mib": ("memory_bytes", "Memory of the host", MIB),
    "cpus": ("cpus", "Logical processors", 1),
    "load": ("load1", "Load average of one minute", 1),
    "pressure_cpu_percent": ("pressure_cpu_ratio", "Time that something waited for a processor, 0 to 1", 0.01),
    "pressure_memory_percent": ("pressure_memory_ratio", "Time that something waited for memory, 0 to 1", 0.01),
    "pressure_io_percent": ("pressure_io_ratio", "Time that something waited for disks, 0 to 1", 0.01),
}


class RowsCollector(Collector):
    """Hosts, guests, pools and jobs as gauges."""

    def collect(self) -> Iterator[Metric]:
        yield from self._hosts()
        guests = GaugeMetricFamily("kvmweb_guests", "Guests by host and state", labels=["host", "state"])
        counts = Guest.objects.order_by().values_list("host__name", "state").annotate(Count("pk"))
        for host, state, count in counts:
            guests.add_metric([host, state], count)
        yield guests
        yield from self._running()
        yield from self._pools()
        jobs = GaugeMetricFamily("kvmweb_jobs", "Jobs by status", labels=["status"])
        for status, count in Job.objects.order_by().values_list("status").annotate(Count("pk")):
            jobs.add_metric([status], count)
        yield jobs

    @staticmethod
    def _hosts() -> Iterator[Metric]:
        up = GaugeMetricFamily("kvmweb_host_up", "1 when the watcher is connected to the host", labels=["host"])
        figures = {
            column: (GaugeMetricFamily(f"kvmweb_host_{name}", words, labels=["host"]), factor)
            for column, (name, words, factor) in HOST_FIGURES.items()
        }
        for name, state, *values in Host.objects.values_list("name", "state", *figures):
            up.add_metric([name], int(state == Host.State.CONNECTED))
            for (metric, factor), value in zip(figures.values(), values, strict=True):
                if value is not None:
                    metric.add_metric([name], value * factor)
        yield up
        yield from (metric for metric, _factor in figures.values())

    @staticmethod
    def _running() -> Iterator[Metric]:
        """Figures of each guest that runs and was sampled lately."""
        labels = ["host", "guest"]
        info = GaugeMetricFamily("kvmweb_guest_info", "Guests that run; always 1", labels=[*labels, "uuid", "os"])
        figures = {
            column: (GaugeMetricFamily(f"kvmweb_guest_{name}", words, labels=labels), factor)
            for column, (name, words, factor) in GUEST_FIGURES.items()
        }
        fresh = Guest.objects.filter(state__in=Guest.ON, missing_since=None, sampled_at__gte=timezone.now() - FRESH)
        rows = fresh.order_by("pk").values_list("host__name", "name", "uuid", "os_name", *figures)
        for host, guest, uuid, os_name, *values in rows[:MOST_GUESTS]:
            info.add_metric([host, guest, str(uuid), os_name], 1)
            for (metric, factor), value in zip(figures.values(), values, strict=True):
                if value is not None:
                    metric.add_metric([host, guest], value * factor)
        yield info
        yield from (metric for metric, _factor in figures.values())

    @staticmethod
    def _pools() -> Iterator[Metric]:
        size = GaugeMetricFamily("kvmweb_pool_capacity_bytes", "Capacity of a storage pool", labels=["host", "pool"])
        free = GaugeMetricFamily("kvmweb_pool_available_bytes", "Free space of a storage pool", labels=["host", "pool"])
        for pool in Pool.objects.filter(missing_since=None).select_related("host"):
            size.add_metric([pool.host.name, pool.name], pool.capacity_bytes)
            free.add_metric([pool.host.name, pool.name], pool.available_bytes)
        yield from (size, free)


registry = CollectorRegistry()
registry.register(RowsCollector())
