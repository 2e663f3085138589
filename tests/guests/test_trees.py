"""Guests that install from a tree: what the wizard and REST take, what the plan says."""

import pytest

from guests import services
from guests.models import Guest
from guests.plan import NewGuest
from jobs.models import Job
from networking.models import Network
from storage.models import Iso, Tree, Volume
from tests.guests.rows import make_host, make_pool
from virt.errors import Invalid
from virt.install_tree import TreeFacts, candidates
from virt.tree_boot import boot_arguments, first_start_xml, is_kernel


@pytest.fixture
def store():
    return make_pool(make_host())


@pytest.fixture
def network(store):
    return Network.objects.create(
        host=store.host, uuid="0" * 32, name="default", is_active=True, forward="nat", cidr="192.168.122.1/24"
    )


@pytest.fixture
def tree(store):
    volume = Volume.objects.create(pool=make_pool(store.host, "iso"), name="fedora.iso", path="/srv/iso/fedora.iso")
    iso = Iso.objects.create(volume=volume, os_id="http://fedoraproject.org/fedora/38", arch="x86_64")
    facts = TreeFacts(kind="yum", family="Fedora", version="38", kernel="images/pxeboot/vmlinuz", initrd="images/i.img")
    return Tree.objects.create(iso=iso, networks=["192.168.122.0/24"], facts=facts.as_json())


def form(store, network, /, **changes: str) -> dict[str, str]:
    common = {"source": "tree", "name": "web-01", "host": str(store.host_id), "vcpus": "1", "memory": "2 GiB"}
    common |= {"pool": str(store.pk), "disk": "20 GiB", "disk_format": "qcow2", "network": f"network:{network.pk}"}
    return {**common, "firmware": "bios", "start": "on", "tree_base": "http://192.168.122.1:8000", **changes}


def test_a_form_installs_from_a_published_tree(client, operator, store, network, tree):
    client.force_login(operator)
    page = client.get(f"/guests/new/?tree={tree.iso_id}").content.decode()
    assert "fedora.iso" in page
    assert "&lt;kernel&gt;/srv/store/fedora38-01-install-kernel" in page
    assert "inst.repo=http://testserver/tree/" in page
    values = form(store, network, tree=str(tree.iso_id), tree_arguments="inst.ks=http://x/k.cfg")
    response = client.post("/guests/new/", values)
    assert response.status_code == 302
    arguments = Job.objects.get().arguments
    assert arguments["tree"] == {
        "iso_id": tree.iso_id,
        "url": f"http://192.168.122.1:8000/tree/{tree.iso_id}",
        "pool": "store",
        "kernel": "web-01-install-kernel",
        "initrd": "web-01-install-initrd",
        "extra": "inst.ks=http://x/k.cfg",
    }
    assert "<kernel>" not in arguments["xml"]
    again = client.get(f"/guests/new/?again={Job.objects.get().pk}").content.decode()
    assert 'value="inst.ks=http://x/k.cfg"' in again
    assert Guest.objects.get().os_name == "Fedora Linux 38"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "Choose a published tree"),
        ({"tree": "99"}, "valid choice"),
        ({"tree_url": "file:///etc/shadow"}, "https://"),
        ({"tree_url": "http://169.254.169.254/latest"}, "private network"),
        ({"tree_url": "http://127.0.0.1/"}, "private network"),
        ({"tree_url": "https://a.example/x y"}, "not an address"),
        ({"tree_url": "https://a.example/x?y=z"}, "without ?"),
        ({"tree_url": "https://a.example/", "tree_arguments": "x" * 1999, "os": "debian12"}, "2000 bytes"),
        ({"tree_url": "https://a.example/", "tree_arguments": "a\nb"}, "one line"),
        ({"tree_url": "https://a.example/", "start": ""}, "started at once"),
        ({"tree_url": "https://a.example/", "network": "none"}, "needs a network card"),
    ],
)
def test_bad_input_comes_back_with_a_sentence(client, operator, store, network, changes, word):
    client.force_login(operator)
    response = client.post("/guests/new/", form(store, network, **changes))
    assert response.status_code == 422
    assert word in response.content.decode()
    assert not Job.objects.exists()


def test_rest_plans_and_makes_a_guest_from_a_tree(client, bearer, store, network, tree):
    def call(path: str, **body: object):
        body = {"name": "a", "host": store.host_id, "network": network.pk, **body}
        response = client.post(f"/api/v1/guests{path}", body, content_type="application/json", **bearer)
        return response.status_code, response.json()

    status, plan = call("/plan", tree=tree.iso_id)
    assert status == 200
    assert plan["os_name"] == "Fedora Linux 38"  # that of the disc
    assert plan["tree"]["arguments"] == f"inst.repo=http://testserver/tree/{tree.iso_id}/ ip=dhcp"
    assert "<kernel>/srv/store/a-install-kernel</kernel>" in plan["first_xml"]
    assert "<on_reboot>destroy</on_reboot>" in plan["first_xml"]
    assert "<kernel>" not in plan["xml"]
    assert "<on_reboot>restart</on_reboot>" in plan["xml"]
    status, plan = call(
        "/plan", tree_url="https://deb.debian.org/debian/dists/bookworm/main/installer-amd64/", os="debian12"
    )
    assert status == 200
    assert "mirror/https/directory=/debian" in plan["tree"]["arguments"]
    for field, body in {
        "tree": {"tree": 10**9},
        "tree_url": {"tree_url": "http://10.0.0.1/x"},
        "tree_base": {"tree": tree.iso_id, "tree_base": "http://x/y z"},
        "start": {"tree": tree.iso_id, "start": False},
    }.items():
        status, problem = call("", **body)
        assert (status, problem["field"]) == (422, field), problem
    status, problem = call("", tree=tree.iso_id, tree_url="https://a.example/")
    assert (status, problem["field"]) == (422, "tree_url")
    assert call("", tree=tree.iso_id)[0] == 202


def test_the_plan_says_where_the_guest_cannot_reach_the_tree(admin, store, network, tree):
    def texts(base: str) -> str:
        wanted = NewGuest(name="a", host=store.host_id, network=network.pk, tree=tree.iso_id, tree_base=base)
        return " ".join(check.text for check in services.plan_guest(wanted, by=admin).checks)

    assert "leads the guest to itself" in texts("http://localhost:8000")
    assert "not published for" not in texts("http://192.168.122.1:8000")
    Tree.objects.update(networks=["10.0.0.0/8"])
    assert "not published for" in texts("http://192.168.122.1:8000")
    store.host.uri = "qemu:///system"  # a guest of this machine reaches it by its own network
    store.host.save()
    wanted = NewGuest(name="a", host=store.host_id, tree=tree.iso_id, tree_base="http://localhost:8000")
    assert services.plan_guest(wanted, by=admin).tree.url == f"http://192.168.122.1:8000/tree/{tree.iso_id}"


def test_what_installers_are_told():
    def told(**facts: str) -> str:
        return " ".join(boot_arguments(TreeFacts(**facts), "http://h/t", image="http://h/t.iso"))

    assert told(kind="yum", family="Rocky Linux", version="9.3", kernel="images/pxeboot/vmlinuz") == (
        "inst.repo=http://h/t/ ip=dhcp"
    )
    assert told(kind="yum", family="CentOS", version="6.10") == "method=http://h/t/ ip=dhcp"
    assert told(kind="yum", kernel="boot/x86_64/loader/linux") == "install=http://h/t/"
    assert told(kind="apt", kernel="casper/vmlinuz") == "ip=dhcp url=http://h/t.iso"
    assert told(kernel="arch/boot/x86_64/vmlinuz-linux").startswith("archisobasedir=arch")
    assert told(kernel="linux") == ""


def test_a_stranger_names_no_file_outside_the_tree():
    evil = "[general]\narch = x86_64\n[images-x86_64]\nkernel = {}\ninitrd = images/i.img\n"
    for path in ("../../etc/shadow", "http://169.254.169.254/x", "/etc/shadow", "a/./b", ""):
        assert path not in [facts.kernel for facts in candidates(evil.format(path))], path
    assert candidates(evil.format("a/vmlinuz"))[0].kernel == "a/vmlinuz"
    assert not is_kernel(b"<!DOCTYPE html>")
    with pytest.raises(Invalid):
        first_start_xml("<domain><os/></domain>", kernel="/a/../b", initrd="/c", arguments="")
