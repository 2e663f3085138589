"""What a script does: from an ISO file to a guest that runs and is gone again, over REST alone."""

import asyncio
import hashlib
import time

import pytest
from tusclient.client import TusClient
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from .conftest import wait_for

pytestmark = pytest.mark.stack
NAME = "kvt-rest-story"


def upload(stack, rest, path, name):
    """Send a file with a tus client that nobody here wrote; the address of the upload comes back."""
    client = TusClient(f"{stack.base_url}api/v1/uploads", headers={"Authorization": f"Bearer {rest.secret}"})
    uploader = client.uploader(str(path), chunk_size=5 * 2**20, metadata={"filename": name})
    uploader.upload()
    return uploader.url


def pools_of(rest):
    return {pool["name"]: pool for pool in rest("GET", "/pools?limit=500")["items"]}


def greeting(stack, url):
    """The first bytes of a console."""

    async def talk():
        async with connect(
            stack.base_url.replace("http", "ws", 1).rstrip("/") + url, subprotocols=[Subprotocol("binary")]
        ) as socket:
            return await asyncio.wait_for(socket.recv(), 10)

    return asyncio.run(talk())


def test_from_an_iso_to_a_running_guest_and_back_over_rest(stack, rest, test_iso, virsh, serial):
    # Where we are: one host, connected, which knows by itself that stock guests do not boot on its KVM.
    host = wait_for(lambda: [h for h in rest("GET", "/hosts")["items"] if h["state"] == "connected"], seconds=30)[0]
    ours = {stack.iso_dir.name, stack.store_dir.name}
    pools = wait_for(lambda: (found := pools_of(rest)).keys() >= ours and found, seconds=30)
    store = pools[stack.store_dir.name]

    # An ISO, in pieces, and what kvmweb finds out about it.
    url = upload(stack, rest, test_iso, "story.iso")
    assert (stack.iso_dir / "story.iso").read_bytes() == test_iso.read_bytes()
    assert (stack.iso_dir / "story.iso").owner() == "root"
    state = wait_for(lambda: (found := rest("GET", "/uploads/" + url.rsplit("/", 1)[-1]))["iso_id"] and found)
    iso = wait_for(lambda: (found := rest("GET", f"/isos/{state['iso_id']}"))["sha256"] and found, seconds=30)
    assert iso["sha256"] == hashlib.sha256(test_iso.read_bytes()).hexdigest()
    assert (iso["boots_bios"], iso["boots_uefi"]) == (True, True)

    # A guest from it: first what it would be, then the guest.
    wanted = {
        "name": NAME,
        "host": host["id"],
        "iso": iso["id"],
        "vcpus": 1,
        "memory_mib": 256,
        "disk_gib": 1,
        "pool": store["id"],
        "firmware": "bios",
        "start": True,
    }
    plan = rest("POST", "/guests/plan", wanted)
    assert NAME in plan["xml"]
    assert NAME not in virsh("list", "--all", "--name").split()
    job = rest("POST", "/guests", wanted, expect=202)
    rest.finish(job)
    assert virsh("domstate", NAME) == "running"
    assert "type='qemu'" in virsh("dumpxml", NAME)
    refused = rest("POST", "/guests", wanted, expect=409)
    assert NAME in refused["message"]
    port = serial(NAME)
    port.wait_for("KVMWEB-TEST READY", seconds=240)

    guest = rest.one(f"/guests?search={NAME}")
    assert (guest["state"], guest["is_emulated"]) == ("running", True)

    # Its screen, with a ticket that opens it once.
    ticket = rest("POST", f"/guests/{guest['id']}/console", {"kind": "vnc"}, expect=201)
    assert greeting(stack, ticket["url"]).startswith(b"RFB 003.008")
    with pytest.raises(Exception, match=r"HTTP 40[134]"):
        greeting(stack, ticket["url"])

    # Power.
    for verb, state in (("suspend", "paused"), ("resume", "running")):
        rest.finish(rest("POST", f"/guests/{guest['id']}/{verb}", expect=202))
        assert virsh("domstate", NAME) == state
        wait_for(lambda wanted=state: rest("GET", f"/guests/{guest['id']}")["state"] == wanted, seconds=5)

    def pressed_until_off() -> bool:  # a guest that still boots does not hear its button
        if virsh("domstate", NAME) == "running":
            rest.finish(rest("POST", f"/guests/{guest['id']}/shutdown", expect=202))
            time.sleep(10)
        return virsh("domstate", NAME) == "shut off"

    wait_for(pressed_until_off, seconds=120)
    wait_for(lambda: rest("GET", f"/guests/{guest['id']}")["state"] == "shutoff", seconds=5)

    # What something else does is seen by itself.
    virsh("start", NAME)
    wait_for(lambda: rest("GET", f"/guests/{guest['id']}")["state"] == "running", seconds=5)
    virsh("destroy", NAME)
    wait_for(lambda: rest("GET", f"/guests/{guest['id']}")["state"] == "shutoff", seconds=5)

    # And gone, with its disk; the ISO stays.
    rest.finish(rest("DELETE", f"/guests/{guest['id']}?disks=vda", expect=202))
    assert NAME not in virsh("list", "--all", "--name").split()
    assert list(stack.store_dir.iterdir()) == []
    rest.finish(rest("DELETE", f"/isos/{iso['id']}", expect=202))
    assert not (stack.iso_dir / "story.iso").exists()
    done = [row["action"] for row in rest("GET", "/audit?limit=200")["items"]]
    assert {"create_guest", "delete_guest", "open_console"} <= set(done)
