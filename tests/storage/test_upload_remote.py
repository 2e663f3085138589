"""Uploads into a pool of another host, over ssh and TLS: straight into the volume, resumed, cancelled, refused."""

import hashlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.lab_hosts import Lab, running_lab
from tests.storage.upload_site import UPLOADS, Site

pytestmark = pytest.mark.libvirt
MIB = 1024**2


@pytest.fixture(scope="module")
def lab():
    with running_lab(net="192.168.194") as lab:
        lab.virsh(1, "pool-create-as", "far", "dir", "--target", "/var/lib/libvirt/images")
        yield lab


@pytest.fixture(params=["ssh", "tls"])
def far(site: Site, lab: Lab, request) -> str:
    """The row of the lab's pool on the site, reached that way."""
    number = site.pools["far"]
    site.sql("UPDATE hosts_host SET uri = ?, state = 'connected' WHERE name = 'far'", lab.uri_over(request.param))
    site.sql("UPDATE storage_pool SET name = 'far', available_bytes = ? WHERE id = ?", 10 * 1024 * MIB, number)
    return str(number)


def on_far(lab: Lab, name: str) -> Path:
    return Path(lab.environment["LAB_STATE"]) / "h1" / "var-lib-libvirt" / "images" / name


def names(lab: Lab) -> list[str]:
    lab.virsh(1, "pool-refresh", "far")
    return [line.split()[0] for line in lab.virsh(1, "vol-list", "far").splitlines() if line.strip()]


def test_a_file_arrives_in_pieces_and_after_kills_without_a_copy_in_between(site: Site, lab: Lab, far: str):
    content = os.urandom(130 * MIB + 12_345)
    name = f"{os.urandom(4).hex()}.iso"  # the rows of the other transport stay
    parts = site.parts()  # of other tests
    path = site.new(name, len(content), pool=far, sha256=hashlib.sha256(content).hexdigest())
    assert names(lab) == [name]
    assert site.patch(path, 0, content[: 5 * MIB]).status_code == 204
    for kill_after in (20 * MIB, 100 * MIB):  # in the middle of a request
        offset = site.offset(path)
        sent = _sending(site, path, offset, content[offset : offset + 120 * MIB], kill_after)
        site.start()
        confirmed = site.offset(path)
        assert offset + sent - confirmed <= 64 * MIB  # the page's chunk: no more is sent again
        assert confirmed >= offset
    offset = site.offset(path)
    assert offset >= 64 * MIB  # what libvirt confirmed of the second one
    answer = site.patch(path, offset, content[offset:])
    assert answer.status_code == 204, answer.text
    assert on_far(lab, name).read_bytes() == content
    assert site.json(path)["state"] == "done"
    assert site.parts() == parts
    assert site.ask("DELETE", path).status_code == 409
    on_far(lab, name).unlink()
    names(lab)


def test_over_a_slow_line_little_is_sent_again(site: Site, lab: Lab, far: str):
    content = os.urandom(20 * MIB)
    name = f"{os.urandom(4).hex()}.iso"
    path = site.new(name, len(content), pool=far)
    sent = _sending(site, path, 0, content, 10 * MIB, pause_s=0.4)
    site.start()
    confirmed = site.offset(path)
    assert 4 * MIB <= confirmed <= sent  # all but what came in the last second or two
    assert site.patch(path, confirmed, content[confirmed:]).status_code == 204
    assert on_far(lab, name).read_bytes() == content
    on_far(lab, name).unlink()
    names(lab)


def _sending(site: Site, path: str, offset: int, data: bytes, kill_after: int, *, pause_s: float = 0) -> int:
    """Send, a MiB after each pause, and kill the server after that many bytes; how many were sent."""
    done = 0

    def pieces():
        nonlocal done
        for at in range(0, len(data), MIB):
            if done >= kill_after:
                site.kill()
            time.sleep(pause_s)
            piece = data[at : at + MIB]
            done += len(piece)
            yield piece

    try:
        site.patch(path, offset, pieces())
    except OSError:  # requests' ConnectionError is one
        return done
    raise AssertionError("the server was not killed")


def test_cancelled_refused_and_taken_names_leave_nothing(site: Site, lab: Lab, far: str, tmp_path: Path):
    path = site.new("gone.iso", 8 * MIB, pool=far)
    assert site.patch(path, 0, bytes(3 * MIB)).status_code == 204
    assert site.ask("DELETE", path).status_code == 204
    assert names(lab) == []
    on_far(lab, "taken.iso").write_bytes(b"x")
    assert site.create("taken.iso", 5, pool=far).status_code == 409
    assert on_far(lab, "taken.iso").read_bytes() == b"x"
    on_far(lab, "taken.iso").unlink()
    evil = tmp_path / "evil.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", str(evil), "4M"]
    subprocess.run(command, check=True)
    parts = site.parts()  # of other tests
    for pool in (far, str(site.pools["iso"])):
        path = site.new("evil.qcow2", evil.stat().st_size, pool=pool)
        answer = site.patch(path, 0, evil.read_bytes())
        assert (answer.status_code, answer.json()["code"]) == (422, "reference_refused")
        assert site.json(path)["state"] == "failed"
    assert names(lab) == []
    assert not (site.iso / "evil.qcow2").exists()
    assert site.parts() == parts
    name = f"{os.urandom(4).hex()}.iso"
    empty = site.create(name, 0, pool=far)
    assert empty.status_code == 201, empty.text
    assert names(lab) == [name]
    on_far(lab, name).unlink()
    names(lab)


def test_two_writers_and_wrong_offsets_are_turned_away(site: Site, lab: Lab, far: str):
    path = site.new("two.iso", 4 * MIB, pool=far)
    assert site.patch(path, MIB, bytes(MIB)).status_code == 409
    assert site.patch(path, 0, bytes(5 * MIB)).status_code == 413
    checked = site.patch(path, 0, bytes(MIB), upload_checksum=f"sha256 {'A' * 43}=")
    assert (checked.status_code, site.offset(path)) == (460, 0)
    assert site.create("two.iso", 4 * MIB, pool=far, by="bob").status_code == 409
    assert site.ask("DELETE", path).status_code == 204
    assert site.ask("GET", UPLOADS).status_code == 200
    assert names(lab) == []
