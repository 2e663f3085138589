"""What Prometheus reads: per-host and per-guest figures, and the example dashboard asks for nothing else."""

import json
import re
import uuid
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from guests.models import Guest
from hosts.models import Host
from kvmweb import metrics

pytestmark = pytest.mark.django_db


def scraped() -> dict[tuple[str, str], float]:
    """{(metric, guest or host): value}."""
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    samples = (sample for family in families for sample in family.samples)
    return {(s.name, s.labels.get("guest") or s.labels.get("host", "")): s.value for s in samples}


def new_guest(host: Host, name: str, **columns) -> Guest:
    columns = {"state": "running", "sampled_at": timezone.now(), "cpu_percent": 25.0, "memory_mib": 512} | columns
    return Guest.objects.create(host=host, uuid=uuid.uuid4(), name=name, **columns)


def test_hosts_and_running_guests_have_figures():
    host = Host.objects.create(name="h", uri="test:///h", state="connected", cpu_percent=50.0, pressure_io_percent=2.0)
    new_guest(host, "a", net_rx_bytes_per_s=1000, memory_held_mib=2)
    new_guest(host, "off", state="shutoff", sampled_at=None)
    new_guest(host, "old", sampled_at=timezone.now() - 2 * metrics.FRESH)
    found = scraped()
    assert found["kvmweb_host_cpu_ratio", "h"] == 0.5
    assert found["kvmweb_host_pressure_io_ratio", "h"] == 0.02
    assert ("kvmweb_host_pressure_cpu_ratio", "h") not in found  # unknown is not zero
    assert found["kvmweb_guest_cpu_ratio", "a"] == 0.25
    assert found["kvmweb_guest_network_receive_bytes_per_second", "a"] == 1000
    assert found["kvmweb_guest_memory_held_bytes", "a"] == 2 * 2**20
    assert not [key for key in found if key[1] in ("off", "old")]


def test_a_name_with_anything_in_it_is_a_label():
    host = Host.objects.create(name="h", uri="test:///h")
    new_guest(host, 'a "quoted"\\ 名字\nname')
    assert scraped()["kvmweb_guest_cpu_ratio", 'a "quoted"\\ 名字\nname'] == 0.25


def test_guests_are_bounded_and_cost_the_same_queries(monkeypatch):
    host = Host.objects.create(name="h", uri="test:///h")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            scraped()
        return len(queries)

    new_guest(host, "first")
    few = cost()
    for n in range(20):
        new_guest(host, f"g{n}")
    assert cost() == few
    monkeypatch.setattr(metrics, "MOST_GUESTS", 5)
    assert len([key for key in scraped() if key[0] == "kvmweb_guest_info"]) == 5


def test_the_dashboard_asks_for_what_there_is():
    dashboard = json.loads((Path(__file__).parents[1] / "deploy" / "grafana" / "kvmweb.json").read_text())
    asked = set(re.findall(r"kvmweb_\w+", json.dumps(dashboard)))
    there = {family.name for family in metrics.RowsCollector().collect()}
    assert asked <= there
    assert "kvmweb_guest_cpu_ratio" in asked
