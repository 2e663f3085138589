"""Connections that wait for the next piece of an upload into a pool of another host."""

from pathlib import Path

from hosts.models import Host
from storage.uploads import streamed


def test_a_connection_that_waits_is_for_the_address_that_the_host_has(local_host: Host, tmp_path: Path):
    other = tmp_path / "other.xml"
    other.write_text("<node/>")
    lines = streamed._Lines()
    local_host.uri = "test:///default"
    first = lines.take(local_host)
    lines.give_back(first)
    assert lines.take(local_host) is first
    lines.give_back(first)
    local_host.uri = f"test://{other}"
    second = lines.take(local_host)
    assert second is not first
    assert second.connection.uri == local_host.uri
    for line in (first, second):
        line.close()
