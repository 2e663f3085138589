"""libvirt lets one stop a network under running guests without a word, so we ask."""

import time

import pytest
from django.urls import reverse

from guests.models import Guest
from jobs.models import Job
from networking import inventory, services, tasks
from networking.models import Network
from virt import connection
from virt import networks as virt_networks


def test_rest_refuses_and_names_who_would_be_cut_off(client, bearer, network):
    url = f"/api/v1/networks/{network.pk}"
    assert client.get(url, **bearer).json()["running_guests"] == ["web-01"]
    refused = client.post(f"{url}/stop", **bearer)
    assert (refused.status_code, refused.json()["code"]) == (409, "network_in_use")
    assert "web-01" in refused.json()["message"]
    assert not Job.objects.exists()
    forced = client.post(f"{url}/stop?force=true", **bearer)
    assert forced.status_code == 202
    assert forced["Location"] == f"/api/v1/jobs/{forced.json()['id']}"


def test_the_page_asks_and_names_who_would_be_cut_off(client, operator, network):
    client.force_login(operator)
    url = reverse("networking:stop", args=[network.pk])
    question = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "web-01" in question
    assert "off-01" not in question
    assert client.post(url, {"seen": ["web-01"]}).status_code == 302
    assert Job.objects.get().title == "Stop network default"


def test_who_came_since_the_question_is_not_cut_off(client, operator, network):
    client.force_login(operator)
    Guest.objects.update(state="running")
    answer = client.post(reverse("networking:stop", args=[network.pk]), {"seen": ["web-01"]})
    assert answer.status_code == 409
    assert "off-01" in answer.content.decode()
    assert not Job.objects.exists()


def test_an_unused_network_stops_without_force(client, bearer, network):
    Guest.objects.update(state="shutoff")
    assert client.post(f"/api/v1/networks/{network.pk}/stop", **bearer).status_code == 202


def test_a_network_that_is_gone_or_whose_host_is_off_is_refused(client, bearer, network):
    network.host.state = "disabled"
    network.host.save()
    answer = client.post(f"/api/v1/networks/{network.pk}/start", **bearer)
    assert (answer.status_code, answer.json()["code"]) == (409, "host_disabled")
    Network.objects.update(missing_since=network.first_seen_at)
    answer = client.post(f"/api/v1/networks/{network.pk}/start", **bearer)
    assert (answer.status_code, answer.json()["code"]) == (409, "network_missing")


@pytest.fixture
def real_network(local_host, virsh, tmp_path):
    """Its bridge does not exist, and starting it makes none: nothing of the machine is touched."""
    name = f"kvt-net-{time.time_ns() % 10**9}"
    (tmp_path / "net.xml").write_text(
        f"<network><name>{name}</name><forward mode='bridge'/><bridge name='kvt-none'/></network>"
    )
    virsh("net-define", str(tmp_path / "net.xml"))
    with connection.connect("qemu:///system") as conn:
        inventory.sync_networks(local_host, [virt_networks.network_info(conn, name)], complete=False)
    yield Network.objects.get()
    virsh("net-destroy", name, check=False)
    virsh("net-undefine", name, check=False)


@pytest.mark.libvirt
@pytest.mark.django_db(transaction=True)
def test_jobs_start_stop_and_set_autostart(real_network, admin, virsh):
    def state() -> dict[str, str]:
        lines = virsh("net-info", real_network.name).splitlines()
        return {key.strip(): value.strip() for key, value in (line.split(":", 1) for line in lines)}

    def run(task, job: Job) -> Network:
        task.run_here(job)
        job.refresh_from_db()
        assert job.status == Job.Status.SUCCEEDED, job.error
        return Network.objects.get()

    assert run(tasks.start_network, services.start_network(real_network, by=admin)).is_active
    assert state()["Active"] == "yes"
    job = services.start_network(real_network, by=admin)
    run(tasks.start_network, job)
    assert "running already" in " ".join(line.text for line in job.log_lines)
    assert run(tasks.set_autostart, services.set_autostart(real_network, True, by=admin)).autostart
    assert state()["Autostart"] == "yes"
    assert not run(tasks.stop_network, services.stop_network(real_network, by=admin)).is_active
    assert state()["Active"] == "no"

    virsh("net-undefine", real_network.name)
    job = services.start_network(real_network, by=admin)
    tasks.start_network.run_here(job)
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Job.Status.FAILED, "network_not_found")
