"""Disks of an iSCSI server as volumes: libvirt's own initiator (iscsi-direct), against a server in user space."""

import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest

from guests import services as guest_services
from guests import tasks as guest_tasks
from guests.plan import NewGuest
from guests.sheets import refresh_sheets
from hosts.inventory import refresh_facts
from hosts.models import Host
from storage import copying, pooling, services
from storage.downloads.source import find
from storage.inventory import sync_kinds
from storage.models import Pool, Volume
from storage.secrets import services as secrets
from tests.guests.test_encrypted import BOOT_SECTOR
from tests.storage.conftest import run
from tests.storage.targets import LOGIN, TARGET, iscsi_server
from tests.virt.daemon import private_daemon
from virt.errors import NotSupported, VolumeInUse
from virt.pool_xml import PoolSpec

pytestmark = pytest.mark.libvirt
MIB = 1024**2
US = "iqn.2020-01.com.example:kvt"


@pytest.fixture(scope="module")
def daemon():
    """A libvirtd that was started after its drivers were installed. Paths of sockets below it are just short enough."""
    home = Path(tempfile.mkdtemp(prefix="kvt-", dir="/var/tmp"))
    home.chmod(0o755)
    with private_daemon(home) as running:
        yield running
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not shutil.which("tgtd", path="/usr/sbin:/usr/bin"):
        pytest.skip("iscsi-direct: this machine has no tgtd")
    with iscsi_server(tmp_path_factory.mktemp("target"), 32 * MIB, 8 * MIB) as running:
        yield running


@pytest.fixture
def host(db, daemon):
    host = Host.objects.create(name="with-iscsi", uri=daemon.uri, state=Host.State.CONNECTED)
    with host.connect() as conn:
        sync_kinds(host, conn)
    if "iscsi-direct" not in {kind["type"] for kind in pooling.kinds_of(host)}:
        pytest.skip("iscsi-direct: libvirt's driver is not installed (libvirt-daemon-driver-storage-iscsi-direct)")
    return host


@pytest.fixture
def there(daemon):
    """virsh on that libvirtd: the second witness."""

    def call(*words: str, check: bool = True) -> str:
        return subprocess.run(["virsh", "-c", daemon.uri, *words], check=check, capture_output=True, text=True).stdout

    return call


@pytest.fixture
def name(there):
    chosen = f"kvt-{uuid.uuid4().hex[:8]}"
    yield chosen
    there("pool-destroy", chosen, check=False)
    there("pool-undefine", chosen, check=False)


def spec(name: str, server, **others: str) -> PoolSpec:
    return PoolSpec(
        **{"name": name, "type": "iscsi-direct", "host": server.portal, "target": TARGET, "initiator": US} | others
    )


def test_targets_are_found_and_their_disks_are_volumes(host, server, admin, name, there):
    looked = run(pooling.find_sources(host, "iscsi-direct", by=admin, server=server.portal))
    assert looked.status == "succeeded", looked.error_details
    (found,) = looked.result["sources"]
    assert (found["host"], found["target"], found["initiator"]) == (server.portal, TARGET, "")
    wanted = spec(name, server, host=found["host"], target=found["target"])
    job = run(pooling.create_pool(host, wanted, by=admin))
    assert job.status == "succeeded", (job.error, job.error_details)
    pool = Pool.objects.get(pk=job.result["pool_id"])
    sizes = dict(pool.volumes.values_list("name", "capacity_bytes"))
    assert sizes.keys() == {f"unit:0:0:{number}" for number in range(3)}  # 0 is the server's controller
    assert 0 <= 32 * MIB - sizes["unit:0:0:1"] <= 512  # libvirt takes the last block's number for their count
    assert "unit:0:0:2" in there("vol-list", name)
    assert run(services.refresh_pool(pool, by=admin)).status == "succeeded"
    for step in (services.stop_pool, services.start_pool):
        assert run(step(pool, by=admin)).status == "succeeded"
    assert run(pooling.delete_pool(pool, by=admin)).status == "succeeded"
    assert name not in there("pool-list", "--all")
    assert server.disk(1).exists()


def test_what_the_driver_cannot_do_is_refused_before_a_job(host, server, admin, name):
    job = run(pooling.create_pool(host, spec(name, server), by=admin))
    pool = Pool.objects.select_related("host").get(pk=job.result["pool_id"])
    volume = Volume.objects.select_related("pool__host").get(pool=pool, name="unit:0:0:2")
    refused = (
        lambda: services.create_volume(pool, "a", 8 * MIB, "raw", by=admin),
        lambda: services.resize_volume(volume, 16 * MIB, by=admin),
        lambda: services.delete_volume(volume, by=admin),
        lambda: copying.copy_volume(volume, pool, "a", by=admin),
        lambda: pooling.delete_pool(pool, by=admin, data="volumes"),
        lambda: find(admin, volume.pk),
    )
    for ask in refused:
        with pytest.raises(NotSupported):
            ask()
    # Wiping is the one thing that it does.
    server.disk(2).write_bytes(b"x" * 8 * MIB)
    wiped = run(services.wipe_volume(volume, by=admin))
    assert wiped.status == "succeeded", (wiped.error, wiped.error_details)
    assert not any(server.disk(2).read_bytes())


def test_a_target_that_cannot_be_reached_leaves_nothing(host, server, admin, name, there):
    for wrong, sentence in (
        ({"host": "127.0.0.1:1"}, "does not answer"),
        ({"host": "kvt.invalid"}, "does not answer"),
        ({"target": f"{TARGET}-other"}, "no such target"),
    ):
        job = run(pooling.create_pool(host, spec(name, server, **wrong), by=admin))
        assert (job.status, job.error_code) == ("failed", "wrong_state"), (wrong, job.error_details)
        assert sentence in job.error
        assert name not in there("pool-list", "--all")
        assert not Pool.objects.filter(name=name).exists()
    looked = run(pooling.find_sources(host, "iscsi-direct", by=admin, server="127.0.0.1:1"))
    assert (looked.status, looked.error_code) == ("failed", "wrong_state"), looked.error_details


def test_a_login_with_a_secret(host, admin, name, tmp_path):
    user, password = LOGIN
    secret = run(secrets.create_secret(host, "iscsi", name, password, by=admin))
    assert secret.status == "succeeded", secret.error
    with iscsi_server(tmp_path, 8 * MIB) as guarded:
        guarded.ask_for_login()
        refused = run(pooling.create_pool(host, spec(name, guarded), by=admin))
        assert (refused.status, refused.error_code) == ("failed", "permission_refused"), refused.error_details
        known = spec(name, guarded, auth_user=user, auth_secret=secret.result["uuid"])
        job = run(pooling.create_pool(host, known, by=admin))
        assert job.status == "succeeded", (job.error, job.error_details)
        pool = Pool.objects.get(pk=job.result["pool_id"])
        assert pool.volumes.filter(name="unit:0:0:1").exists()
        row = host.secrets.get(pk=secret.result["secret_id"])
        assert run(secrets.set_value(row, "another-password", by=admin)).status == "succeeded"
        assert run(services.stop_pool(pool, by=admin)).status == "succeeded"
        late = run(services.start_pool(pool, by=admin))
        assert (late.status, late.error_code) == ("failed", "permission_refused"), late.error_details
        assert password not in pool.xml


def test_a_guest_has_a_disk_of_the_server(host, server, admin, name, there):
    """QEMU reads it over the network, where it has the module for that; else the reason is told, and none is left."""
    job = run(pooling.create_pool(host, spec(name, server), by=admin))
    volume = Volume.objects.get(pool=job.result["pool_id"], name="unit:0:0:2")
    server.disk(2).write_bytes(BOOT_SECTOR.ljust(510, b"\0") + b"\x55\xaa" + bytes(8 * MIB - 512))
    with host.connect() as conn:
        refresh_facts(host, conn)
        refresh_sheets(host, conn)
    host.kvm_works, host.kvm_reason = False, "Guests are emulated in tests."
    host.save()
    guest = name[:9]
    wanted = NewGuest(
        name=guest, host=host.pk, vcpus=1, memory_mib=64, has_network=False, volume=volume.pk, disk_gib=None
    )
    made = guest_services.create_guest(guest_services.plan_guest(wanted, by=admin), by=admin)
    guest_tasks.create_guest.run_here(made)
    made.refresh_from_db()
    if not list(Path("/usr/lib").glob("*/qemu/block-iscsi.so")):
        assert (made.status, made.error_code) == ("failed", "not_supported"), made.error_details
        assert "qemu-block-extra" in made.error
        assert guest not in there("list", "--all")
        return
    try:
        assert made.status == "succeeded", (made.error, made.error_details)
        assert f"<source pool='{name}' volume='unit:0:0:2'" in there("dumpxml", guest)
        with Path(there("ttyconsole", guest).strip()).open("rb", buffering=0) as port:
            assert b"OPENED" in port.read(64)
        assert list(volume.used_by.values_list("guest__name", flat=True)) == [guest]
        with pytest.raises(VolumeInUse, match=guest):
            services.wipe_volume(volume, by=admin)
    finally:
        there("destroy", guest, check=False)
        there("undefine", guest, "--nvram", check=False)
