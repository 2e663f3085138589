"""What Prometheus reads at /metrics: counted from rows at each scrape, so that every web process says the same."""

from collections.abc import Iterator

from django.db.models import Count
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from guests.models import Guest
from hosts.models import Host
from jobs.models import Job
from storage.models import Pool

MIB = 2**20


class RowsCollector(Collector):
    """Hosts, guests, pools and jobs as gauges."""

    def collect(self) -> Iterator[Metric]:
        yield from self._hosts()
        guests = GaugeMetricFamily("kvmweb_guests", "Guests by host and state", labels=["host", "state"])
        counts = Guest.objects.order_by().values_list("host__name", "state").annotate(Count("pk"))
        for host, state, count in counts:
            guests.add_metric([host, state], count)
        yield guests
        yield from self._pools()
        jobs = GaugeMetricFamily("kvmweb_jobs", "Jobs by status", labels=["status"])
        for status, count in Job.objects.order_by().values_list("status").annotate(Count("pk")):
            jobs.add_metric([status], count)
        yield jobs

    @staticmethod
    def _hosts() -> Iterator[Metric]:
        up = GaugeMetricFamily("kvmweb_host_up", "1 when the watcher is connected to the host", labels=["host"])
        cpu = GaugeMetricFamily("kvmweb_host_cpu_ratio", "CPU in use, 0 to 1", labels=["host"])
        used = GaugeMetricFamily("kvmweb_host_memory_used_bytes", "Memory in use", labels=["host"])
        size = GaugeMetricFamily("kvmweb_host_memory_bytes", "Memory of the host", labels=["host"])
        for host in Host.objects.all():
            up.add_metric([host.name], int(host.is_connected))
            size.add_metric([host.name], host.memory_mib * MIB)
            if host.cpu_percent is not None:
                cpu.add_metric([host.name], host.cpu_percent / 100)
            if host.memory_used_mib is not None:
                used.add_metric([host.name], host.memory_used_mib * MIB)
        yield from (up, cpu, used, size)

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
