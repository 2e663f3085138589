"""Uploads through libvirt: into which pools, and the connections that wait for their next piece."""

from pathlib import Path

import pytest

from hosts.models import Host
from storage.models import Pool
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


@pytest.mark.parametrize(
    ("kind", "path", "is_streamed"),
    [("dir", "/iso", False), ("fs", "/store", False), ("dir", "/elsewhere", True), ("logical", "/dev/vg", True)],
)
def test_where_the_root_helper_does_not_work_libvirt_takes_the_bytes(local_host, settings, kind, path, is_streamed):
    settings.HELPER_SOCKET, settings.ISO_DIR, settings.STORE_DIR = "/run/helper.sock", "/iso", "/store"
    assert streamed.is_streamed(Pool(host=local_host, type=kind, target_path=path)) is is_streamed
    settings.HELPER_SOCKET = ""  # this process works in every directory
    assert streamed.is_streamed(Pool(host=local_host, type="dir", target_path=path)) is False
