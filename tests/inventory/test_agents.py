"""A real agent in a real guest: it answers, then it hangs."""

import json
import shutil
import tempfile
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from guests.agents.models import AgentReport
from guests.inventory import refresh_guest
from inventory.agents import SILENT_EVERY_S, AgentReader
from tests.inventory.conftest import wait_for
from virt.connection import connect

pytestmark = pytest.mark.libvirt
CACHE = Path(__file__).resolve().parents[1] / ".cache"
XML = """<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>192</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>{home}/vmlinuz</kernel><initrd>{home}/initrd</initrd>
<cmdline>{cmdline} kvmweb.hostname=agent-7</cmdline></os>
<devices><interface type='user'><mac address='52:54:00:a9:e1:07'/><model type='virtio'/></interface>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices></domain>"""


@pytest.fixture
def guest(virsh):
    """A guest with an agent, running; its uuid."""
    assert (CACHE / "kvmweb-test.vmlinuz").exists(), "tests/lab/make-test-iso makes the guest"
    home = Path(tempfile.mkdtemp(prefix="kvmweb-test-agent-", dir="/var/tmp"))
    home.chmod(0o755)
    for part in ("vmlinuz", "initrd"):
        shutil.copy(CACHE / f"kvmweb-test.{part}", home / part)
    uuid = str(uuid4())
    cmdline = (CACHE / "kvmweb-test.cmdline").read_text().strip()
    (home / "guest.xml").write_text(XML.format(name=f"kvt-agent-{uuid[:8]}", uuid=uuid, home=home, cmdline=cmdline))
    virsh("create", str(home / "guest.xml"))
    yield uuid
    virsh("destroy", uuid, check=False)
    shutil.rmtree(home)


def test_an_agent_answers_and_then_hangs(guest, local_host, virsh):
    with connect("qemu:///system", timeout_s=10) as conn:
        row = refresh_guest(local_host, conn, guest)
        reader = AgentReader(local_host)

        def ask() -> AgentReport:
            reader.ask_soon([guest])
            reader.look_who_waits()
            reader.take_turn(conn)
            return AgentReport.objects.get(guest=row)

        assert ask().state == "absent"  # nothing runs in it yet
        wait_for(lambda: ask().answers, 120, every_s=0.5)
        said = wait_for(lambda: ask() if ask().interfaces else None, 30, every_s=0.5)
        assert (said.hostname, said.timezone) == ("agent-7", "UTC")
        row.refresh_from_db()
        assert row.addresses == [{"address": "10.0.2.15", "source": "agent", "mac": "52:54:00:a9:e1:07"}]

        stop = {"path": "/bin/sh", "arg": ["-c", "kill -STOP $PPID"]}
        virsh("qemu-agent-command", guest, json.dumps({"execute": "guest-exec", "arguments": stop}), check=False)

        def stopped() -> AgentReport | None:  # the guest takes its time to run the command
            begin = time.monotonic()
            report = ask()
            assert time.monotonic() - begin < 15
            return report if report.state == "silent" else None

        assert wait_for(stopped, 30).hostname == "agent-7"
        assert conn.is_alive
        reader.look_who_waits()
        assert reader.waiting == {}  # it is left alone for a while
        assert reader._due[UUID(guest)] > time.monotonic() + SILENT_EVERY_S - 60
