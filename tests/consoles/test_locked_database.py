"""A database that somebody else writes to for long, as a backup or a repair does: pages answer from what is there."""

import contextlib
import http.client
import sqlite3

import pytest

pytestmark = pytest.mark.libvirt  # beside the others that share the site


def test_pages_answer_while_the_database_is_locked(site, operator_of_site):
    made = site.run("""
from guests.models import Guest
from hosts.models import Host
host = Host.objects.create(name="kvm-locked", uri="test:///locked")
guest = Guest.objects.create(host=host, uuid="5f8ef25d-8a71-4b9b-9c3c-0c8b4fd7a4b1", name="web-locked")
answer([host.pk, guest.pk])
""")
    host, guest = made
    pages = ("", "guests/", f"guests/{guest}/", "hosts/", f"hosts/{host}/", "jobs/", "api/v1/guests")
    path = site.environment["DATABASE_URL"].removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        try:
            for page in pages:
                assert answer_of(site, operator_of_site.session, page) == 200, page
        finally:
            database.execute("ROLLBACK")
    site.run(f"""
from guests.models import Guest
Guest.objects.get(pk={guest}).delete()
""")


def answer_of(site, session: str, page: str) -> int:
    """The status, within less than the 20 s for which whoever writes would wait."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=15)
    with contextlib.closing(connection):
        connection.request("GET", f"/{page}", headers={"Cookie": f"kvmweb_session={session}"})
        return connection.getresponse().status
