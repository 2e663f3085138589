"""Install trees over HTTP: who may read, ranges, paths; the page and REST."""

import asyncio
import hashlib
import os
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from jobs.models import Job
from storage.inventory import refresh_pool
from storage.models import Iso, Tree
from storage.trees import app as tree_app
from storage.trees import services, source, tasks
from virt.errors import Invalid, NotSupported

pytestmark = [pytest.mark.libvirt, pytest.mark.django_db(transaction=True)]
MIB = 1024**2


@pytest.fixture
def iso(pool, tmp_path):
    """An image with a kernel, a Debian suite and some oddities, in a pool of this machine."""
    top = tmp_path / "disc"
    for path in ("install.amd/vmlinuz", "install.amd/initrd.gz", "dists/trixie/Release", "a b&<c>/ü.txt"):
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(f"content of {path}")
    (top / "dists/trixie/Release").write_text("Components: main\n")
    (top / "dists/trixie/main").mkdir()
    (top / "large.bin").write_bytes(os.urandom(5 * MIB))
    (top / "page.html").write_text("<script>alert(1)</script>")
    subprocess.run(
        ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "DISC", "-o", f"{pool.target_path}/disc.iso", str(top)],
        check=True,
        capture_output=True,
    )
    with pool.host.connect() as conn:
        refresh_pool(pool.host, conn, pool.name, rescan=True)
    Job.objects.all().delete()
    Iso.objects.update(is_iso9660=True)
    return Iso.objects.select_related("volume__pool__host").get()


@pytest.fixture
def tree(iso, admin):
    job = services.publish_tree(iso, "192.0.2.0/24, 2001:db8::/32", by=admin)
    tasks.publish_tree.run_here(job)
    job.refresh_from_db()
    assert job.status == "succeeded", job.error
    return Tree.objects.get()


class Answer:
    def __init__(self) -> None:
        self.status, self.body, self.largest = 0, b"", 0
        self.headers: dict[str, str] = {}

    async def send(self, message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.largest = max(self.largest, len(message.get("body", b"")))


def get(path, *, method="GET", client="192.0.2.7", **headers):
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in {"host": "kvm:8000", **headers}.items()]
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "headers": raw,
        "client": (client, 1),
        "scheme": "http",
    }
    answer = Answer()
    asyncio.run(tree_app.TreeApp()(scope, None, answer.send))
    return answer


def test_files_directories_and_ranges(tree, iso, tmp_path):
    base = f"/tree/{iso.pk}"
    assert get(f"{base}/install.amd/vmlinuz").body == b"content of install.amd/vmlinuz"
    index = get(f"{base}/")
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert b'<a href="./a%20b%26%3Cc%3E/">a b&amp;&lt;c&gt;/</a>' in index.body
    assert get(f"{base}/a%20b%26%3Cc%3E/%C3%BC.txt").body.startswith(b"content of")
    assert get(f"{base}/install.amd").headers["location"] == f"{base}/install.amd/"
    assert get(base).headers["location"] == f"{base}/"
    large = (tmp_path / "disc" / "large.bin").read_bytes()
    whole = get(f"{base}/large.bin")
    assert (whole.status, whole.body, whole.headers["content-length"]) == (200, large, str(5 * MIB))
    assert whole.largest <= tree_app.CHUNK
    for wanted, content in {
        "bytes=0-0": large[:1],
        "bytes=1000000-1999999": large[1_000_000:2_000_000],
        "bytes=-100": large[-100:],
        "bytes=5242879-9999999": large[-1:],
    }.items():
        part = get(f"{base}/large.bin", range=wanted)
        assert (part.status, part.body) == (206, content)
        assert part.headers["content-range"].endswith(f"/{5 * MIB}")
    assert get(f"{base}/large.bin", range="bytes=5242880-").status == 416
    assert get(f"{base}/large.bin", range="bytes=9-2").status == 200
    assert get(f"{base}/large.bin", range="bytes=0-9", if_range='"old"').status == 200
    head = get(f"{base}/large.bin", method="HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(5 * MIB))
    assert get(f"{base}/large.bin", if_none_match=head.headers["etag"]).status == 304
    assert get(f"{base}/large.bin", method="POST").status == 405
    assert "sandbox" in get(f"{base}/page.html").headers["content-security-policy"]


def test_only_the_chosen_networks_and_nobody_else_learns_of_it(tree, iso, admin):
    path = f"/tree/{iso.pk}/install.amd/vmlinuz"
    for client in ("192.0.2.255", "2001:db8::5", "::ffff:192.0.2.1"):
        assert get(path, client=client).status == 200
    for client in ("192.0.3.1", "127.0.0.1", "::1", "", "testclient"):
        assert get(path, client=client).status == 404
    assert get("/tree/999999/").body == get(path, client="192.0.3.1").body
    services.withdraw_tree(iso, by=admin)
    assert get(path).status == 404


@pytest.mark.parametrize(
    "path",
    ["../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "install.amd/../../../etc/shadow",
     "install.amd//vmlinuz", "./install.amd/vmlinuz", "install.amd/vmlinuz/", "install.amd/vmlinuz%00", "none", "%00"],
)  # fmt: skip
def test_no_path_leads_out_of_the_image(tree, iso, path):
    assert get(f"/tree/{iso.pk}/{path}").status == 404


def test_a_script_boots_the_installer_and_package_managers_have_their_lines(tree, iso, admin, client, bearer):
    script = get(f"/tree/{iso.pk}.ipxe").body.decode()
    assert script.startswith("#!ipxe\n")
    assert f"kernel http://kvm:8000/tree/{iso.pk}/install.amd/vmlinuz " in script
    assert get(f"/tree/{iso.pk}.ipxe", host="a b\r\nx").body.count(b"\n") == 4
    found = client.get(f"/api/v1/isos/{iso.pk}/tree", **bearer).json()
    assert found["apt_sources"] == f"deb [trusted=yes] http://testserver/tree/{iso.pk}/ trixie main"
    assert (found["kernel"], found["networks"]) == ("install.amd/vmlinuz", ["192.0.2.0/24", "2001:db8::/32"])
    client.force_login(admin)
    page = client.get(f"/isos/{iso.pk}/").content.decode()
    assert f"http://testserver/tree/{iso.pk}/" in page
    assert "deb [trusted=yes]" in page
    assert client.post(f"/isos/{iso.pk}/tree/", {"networks": "nonsense"}).status_code == 422
    assert client.post(f"/isos/{iso.pk}/tree/", {"networks": "10.0.0.0/8"}).status_code == 302
    assert client.delete(f"/api/v1/isos/{iso.pk}/tree", **bearer).status_code == 204
    assert client.get(f"/api/v1/isos/{iso.pk}/tree", **bearer).status_code == 404


def test_a_viewer_does_not_publish(iso, viewer, client):
    client.force_login(viewer)
    assert client.post(f"/isos/{iso.pk}/tree/", {"networks": "10.0.0.0/8"}).status_code == 404
    assert not Tree.objects.exists()


def test_what_cannot_be_published_says_why(iso, admin, pool):
    for networks in ("", "10.0.0.0/33", "fish", "10.0.0.1/8 x"):
        with pytest.raises(Invalid) as refused:
            services.publish_tree(iso, networks, by=admin)
        assert refused.value.field == "networks"
    Path(pool.target_path, "disc.iso").write_bytes(bytes(iso.volume.capacity_bytes))
    with pytest.raises(NotSupported, match="UDF"):
        source.open_files(iso.volume)
    pool.host.uri = "qemu+ssh://elsewhere/system"
    pool.host.save()
    with pytest.raises(NotSupported, match="Copy it"):
        source.open_files(Iso.objects.get().volume)


def test_an_image_that_vanishes_while_it_is_published_is_a_404(tree, iso, pool):
    digest = hashlib.sha256(get(f"/tree/{iso.pk}/large.bin").body).hexdigest()
    assert digest
    Path(pool.target_path, "disc.iso").unlink()
    assert get(f"/tree/{iso.pk}/large.bin").status == 404
