"""`python -m tests.bench.watcher_looks URI ROUNDS`: what a look at a host costs against a bare loop, as JSON."""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any


def main(uri: str, rounds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="kvmweb-bench-") as var:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "KVMWEB_VAR": var}
        import django

        django.setup()
        return _measure(uri, rounds)


def _measure(uri: str, rounds: int) -> dict[str, float]:
    import libvirt
    from django.core.management import call_command

    from guests.models import Guest
    from hosts.models import Host
    from inventory import sync
    from virt.connection import connect

    call_command("migrate", verbosity=0)
    host = Host.objects.create(name="farm", uri=uri)

    def bare(handle: Any) -> float:
        domains = handle.listAllDomains(0)
        return _seconds(lambda: [domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) for domain in domains])

    found = []
    with connect(uri, timeout_s=60) as conn:
        for _round in range(rounds + 1):
            Guest.objects.all().delete()
            bare_s = conn.call(bare, "read them")
            first_s = _seconds(lambda: sync.all_guests(host, conn))
            again_s = _seconds(lambda: sync.all_guests(host, conn))
            found.append((bare_s, first_s, again_s))
        conn.call(_compare_rows, "compare the rows")
    bare_s, first_s, again_s = (statistics.median(column) for column in zip(*found[1:], strict=True))
    first = statistics.median(first / bare for bare, first, _again in found[1:])
    again = statistics.median(again / bare for bare, _first, again in found[1:])
    return {"bare_s": bare_s, "first_s": first_s, "again_s": again_s, "first": first, "again": again}


def _compare_rows(handle: Any) -> None:
    """The rows are what libvirt says: nothing was left out, nothing is there twice."""
    from guests.models import Disk, Guest, Nic

    domains = handle.listAllDomains(0)
    said = {domain.UUIDString(): (domain.name(), domain.isPersistent(), domain.XMLDesc(2)) for domain in domains}
    rows = Guest.objects.filter(missing_since=None).values_list("uuid", "name", "persistent", "xml")
    assert {str(uuid): tuple(row) for uuid, *row in rows} == said
    for model, start in ((Disk, "<disk "), (Nic, "<interface ")):
        assert model.objects.count() == sum(xml.count(start) for _name, _persistent, xml in said.values())


def _seconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
