"""The checks of a host: what they find on this machine, what they say of others, and what keeps them from running."""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.urls import reverse

from hosts import checks, inventory, ssh
from hosts.checks import reading
from hosts.checks import services as check_services
from hosts.checks.tasks import examine_host, examine_old, examine_quietly
from hosts.hardware.models import HostReport
from hosts.models import Host
from hosts.reaching import access
from hosts.reaching.models import Credentials
from jobs.models import Busy, Job
from storage.models import Pool
from tests.hosts.sshd import ssh_server
from tests.hosts.test_hardware import details_of_a_big_machine
from virt import connection
from virt.errors import NotSupported

# A machine where all is well, as the command tells it.
WELL = {
    "os_id": ["debian"],
    "kernel": ["6.1.0-28-amd64"],
    "hostname": ["kvm-a01"],
    "resolves": ["192.0.2.5"],
    "init": ["systemd"],
    "active": ["chrony"],
    "enabled": ["libvirtd.service"],
    "cpu_flag": ["vmx"],
    "module": ["kvm", "kvm_intel"],
    "device": ["/dev/kvm", "/dev/vhost-net", "/dev/net/tun"],
    "nested": ["Y"],
    "iommu_groups": ["68"],
    "cgroup2": ["cpuset cpu io memory hugetlb pids"],
    "SwapTotal": ["1048576"],
    "SwapFree": ["1048576"],
    "ksm_run": ["0"],
    "firewall": ["nftables v1.0.6"],
    "program": ["swtpm", "qemu-img", "virtiofsd"],
    "package": ["libvirt-daemon 9.0.0-4+deb12u2"],
    "updates": ["0"],
    "room": ["100000000 50000000 / /var/lib/libvirt"],
    "entry": ["755 0 0 - /srv/disks", "755 0 0 - /srv", "755 0 0 - /"],
    "qemu_user": ["qemu"],
    "clock_ahead_s": ["0.012"],
    "clock_doubt_s": ["0.004"],
    "end": ["yes"],
}


@pytest.fixture
def quick_apt(tmp_path, monkeypatch) -> None:
    """A package manager that answers at once: the real one takes seconds."""
    program = tmp_path / "apt"
    program.write_text(
        "#!/bin/sh\necho Listing...\necho 'a/stable 2 amd64 [upgradable from: 1]'\n"
        "echo 'b/stable-security 2 amd64 [upgradable from: 1]'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.fixture
def verdict_of(host):
    """verdict_of("swap", SwapFree="0") is the check of that code on the machine that is well but for that."""
    host.facts |= {
        "arch": "x86_64",
        "cpu_vendor": "Intel",
        "secure_models": ["apparmor", "dac"],
        "libvirt_version": "11.3.0",
    }
    host.kvm_works = True
    pool = Pool(host=host, name="disks", type="dir", target_path="/srv/disks", is_active=True)

    def make(code: str, *, details=None, facts=None, **changed) -> checks.Check:
        readings = WELL | {key: [value] if isinstance(value, str) else value for key, value in changed.items()}
        host.facts |= facts or {}
        report = HostReport(host=host, details=details_of_a_big_machine() | (details or {}), readings=readings)
        found = checks.of(checks.seen(host, pools=[pool], networks=["default"], report=report))
        return next(check for check in found if check.code == code)

    return make


def test_where_all_is_well_nothing_fails(host, verdict_of):
    verdict_of("contact")
    report = HostReport(host=host, details=details_of_a_big_machine(), readings=WELL)
    found = checks.of(checks.seen(host, pools=[], networks=["default"], report=report))
    assert [check.code for check in found if check.verdict in ("failed", "warning")] == ["pool_iso", "pool_store"]


@pytest.mark.parametrize(
    ("code", "changed", "verdict", "says"),
    [
        ("virtualisation", {"cpu_flag": ["hypervisor"]}, "failed", "virtual machine"),
        ("virtualisation", {"cpu_flag": []}, "failed", "firmware"),
        ("kvm_device", {"device": ["/dev/net/tun"]}, "failed", "not there"),
        ("vhost_net", {"device": ["/dev/net/tun"]}, "warning", "vhost-net is not there"),
        ("tun", {"device": []}, "failed", "tun is not there"),
        ("nested", {"nested": "N"}, "passed", "off"),
        ("iommu", {"iommu_groups": "0", "acpi": ["DMAR"]}, "warning", "does not use it"),
        ("iommu", {"iommu_groups": "0"}, "warning", "None is seen"),
        ("cgroups", {"cgroup2": "cpuset cpu io pids"}, "warning", "memory"),
        ("swap", {"SwapTotal": "4194304", "SwapFree": "1048576"}, "warning", "3 GiB of 4 GiB"),
        ("swap", {"SwapTotal": "0", "SwapFree": "0"}, "passed", "none"),
        ("space", {"room": ["100000000 1000000 / /"]}, "failed", "GiB"),
        ("space", {"room": ["100000000 8000000 / /"]}, "warning", "GiB"),
        ("space", {"inodes": ["1000 3 /srv"]}, "warning", "inodes"),
        ("clock", {"clock_ahead_s": "86400.2"}, "failed", "24 h ahead"),
        ("clock", {"clock_ahead_s": "-86399"}, "failed", "24 h behind"),
        ("clock", {"clock_ahead_s": "3.5"}, "warning", "ahead"),
        ("clock", {"clock_ahead_s": "3.5", "clock_doubt_s": "3"}, "passed", "agree"),
        ("clock", {"active": []}, "warning", "keeps it so"),
        ("names", {"resolves": []}, "warning", "kvm-a01"),
        ("names", {"hostname": "localhost"}, "warning", "localhost"),
        ("firewall", {"firewall": []}, "failed", "Neither"),
        ("firewall", {"docker": "yes", "bridge_filtered": "1"}, "warning", "Docker"),
        ("services", {"enabled": []}, "warning", "starts with the host"),
        ("updates", {"updates": "12", "security_updates": "3"}, "warning", "12 updates are waiting, 3 of them"),
        ("updates", {"reboot_required": "yes"}, "warning", "restart"),
        ("helpers", {"program": ["qemu-img"]}, "warning", "swtpm"),
        ("reach", {"entry": ["700 1000 1000 - /srv/disks", "755 0 0 - /srv"]}, "failed", "/srv/disks"),
        ("reach", {"entry": ["700 1000 1000 + /srv/disks", "755 0 0 - /srv"]}, "skipped", "access list"),
        ("reach", {"entry": ["750 0 107 - /srv/disks", "755 0 0 - /srv"]}, "passed", "qemu"),
    ],
)
def test_a_check_says_what_is_wrong(verdict_of, code, changed, verdict, says):
    check = verdict_of(code, **changed)
    assert (check.verdict, check.code) == (verdict, code)
    assert says in check.found
    if verdict in ("failed", "warning"):
        assert check.means
        assert check.todo


def test_commands_are_those_of_the_family(verdict_of):
    debian = verdict_of("helpers", program=["qemu-img", "virtiofsd"]).commands
    assert [command.text for command in debian] == ["sudo apt install swtpm swtpm-tools"]
    fedora = verdict_of("helpers", program=["qemu-img", "virtiofsd"], os_id="fedora").commands
    assert [command.text for command in fedora] == ["sudo dnf install swtpm"]
    unknown = verdict_of("helpers", program=["qemu-img", "virtiofsd"], os_id="plan9").commands
    assert len(unknown) == 4
    assert all(command.label for command in unknown)


def test_a_name_from_the_host_is_quoted_in_the_command(verdict_of):
    check = verdict_of("names", hostname="a;rm -rf $(x)", resolves=[])
    assert "'a;rm -rf $(x)'" in check.commands[0].text


def test_hardly_any_protection_is_told(verdict_of):
    check = verdict_of("protection", facts={"secure_models": ["none", "dac"]}, apparmor="Y")
    assert check.verdict == "warning"
    assert "AppArmor is on" in check.found


@pytest.mark.parametrize(
    ("libvirt", "package", "kernel", "codes"),
    [
        (
            "9.0.0",
            "libvirt-daemon 9.0.0-4",
            "6.1.0",
            {"CVE-2024-1441", "CVE-2024-2494", "CVE-2023-3750", "snapshot-revert", "vcpu-minus-one"},
        ),
        ("9.0.0", "libvirt-daemon 9.0.0-4+deb12u2", "6.1.0", {"snapshot-revert", "vcpu-minus-one"}),
        ("9.9.0", "", "6.18.44", {"CVE-2024-1441", "CVE-2024-2494", "arp-addresses", "snapshot-deletes-disk"}),
        ("10.1.0", "", "6.1.0", {"CVE-2024-2494", "migration-vmx", "nfs-root-squash", "snapshot-deletes-disk"}),
        ("10.6.0", "", "6.1.0", {"CVE-2024-8235", "snapshot-deletes-disk"}),
        ("11.0.0", "", "6.18.44", set()),
        ("not a version", "", "", set()),
    ],
)
def test_known_faults_are_those_of_the_version(host, libvirt, package, kernel, codes):
    host.facts |= {"libvirt_version": libvirt, "hypervisor_version": "9.1.0"}
    readings = {"package": [package] if package else [], "kernel": [kernel], "end": ["yes"]}
    report = HostReport(host=host, readings=readings)
    found = checks.of(checks.seen(host, pools=[], networks=[], report=report))
    assert {check.code.removeprefix("fault_") for check in found if check.code.startswith("fault_")} == codes
    assert any(check.code == "faults" for check in found) is (not codes)


def test_features_say_why_and_which_check_bears_on_them(host):
    host.facts |= {"libvirt_version": "9.0.0", "hypervisor": "QEMU"}
    readings = WELL | {"iommu_groups": ["0"], "acpi": ["DMAR"]}
    given = checks.seen(
        host,
        pools=[],
        networks=[],
        report=HostReport(
            host=host, details=details_of_a_big_machine() | {"external_snapshots": False}, readings=readings
        ),
    )
    found = {feature.code: feature for feature in checks.features_of(given, checks.of(given))}
    assert found["kvm"].available is False
    assert found["pci_passthrough"].available is False
    assert found["pci_passthrough"].open_checks == (("iommu", "IOMMU"),)
    assert found["snapshot_revert"].available is False
    assert "9.0.0" in found["snapshot_revert"].because
    assert found["numa"].available is True
    assert found["secure_boot"].available is True
    assert found["usb_passthrough"].available is False
    host.devices.create(name="usb_1_4", kind="usb", address="001:005")
    again = {feature.code: feature for feature in checks.features_of(given, [])}
    assert again["usb_passthrough"].available is True
    known = set(found)
    for check in checks.of(given):
        assert set(check.features) <= known, check.code


@pytest.mark.libvirt
@pytest.mark.django_db(transaction=True)
def test_on_this_machine_the_checks_agree_with_virt_host_validate(local_host, operator, client, quick_apt):
    host = Host.objects.get(pk=local_host.pk)
    with connection.connect(host.uri) as conn:
        inventory.refresh_facts(host, conn)
    job = check_services.examine_host(host, by=operator)
    with pytest.raises(Busy):
        check_services.examine_host(host, by=operator)
    examine_host.run_here(job)
    job.refresh_from_db()
    assert job.status == Job.Status.SUCCEEDED, job.error
    report = HostReport.objects.get(host=host)
    assert report.readings["kernel"] == [os.uname().release]
    assert (report.readings["updates"], report.readings["security_updates"]) == (["2"], ["1"])
    assert abs(float(report.readings["clock_ahead_s"][0])) < 5

    host.refresh_from_db()
    given = checks.seen(host, pools=[], networks=[], report=report)
    verdicts = {check.code: check.verdict for check in checks.of(given)}
    assert (report.failed_count, report.warning_count) == (job.result["failed"], job.result["warning"])
    assert job.result["failed"] + job.result["warning"] > 0
    theirs = "\n".join(report.readings["validate"])
    for words, code in (("hardware virtualization", "virtualisation"), ("vhost-net", "vhost_net"), ("net/tun", "tun")):
        line = next(line for line in theirs.splitlines() if words in line)
        word = next(word for word in ("PASS", "WARN", "FAIL") if f": {word}" in line)
        assert verdicts[code] == {"PASS": "passed", "WARN": "warning", "FAIL": "failed"}[word]
    assert (verdicts["cgroups"] == "passed") is (not re.search(r"cgroup.*: (WARN|FAIL)", theirs))

    client.force_login(operator)
    page = client.get(reverse("hosts:checks", args=[host.pk])).content.decode()
    assert "virt-host-validate" in page
    assert "What kvmweb can do on this host" in page


@pytest.fixture
def over_ssh(local_host, settings) -> Iterator[Host]:
    """This machine as one that is reached over SSH."""
    with tempfile.TemporaryDirectory(prefix="kvt-chk-", dir="/var/tmp") as name:
        settings.VAR = Path(name) / "var"
        settings.VAR.mkdir()
        (Path(name) / "sshd").mkdir()
        with ssh_server(Path(name) / "sshd") as server:
            server.authorize(ssh.public_key())
            uri = f"qemu+ssh://root@127.0.0.1:{server.port}/system"
            host = Host.objects.create(name="elsewhere", uri=uri, state=Host.State.CONNECTED)
            Credentials.objects.create(host=host, host_keys=server.host_key)
            yield host
            access.forget(host)


@pytest.mark.libvirt
@pytest.mark.django_db(transaction=True)
def test_a_host_over_ssh_tells_the_same_as_this_machine(over_ssh, local_host, admin, quick_apt):
    job = check_services.examine_host(over_ssh, by=admin)
    examine_host.run_here(job)
    job.refresh_from_db()
    assert (job.status, job.result["problem"]) == (Job.Status.SUCCEEDED, ""), job.error
    elsewhere = HostReport.objects.get(host=over_ssh)
    here = reading.read(local_host, uid=elsewhere.details["qemu_uid"], directories=[])
    for key in ("kernel", "hostname", "cgroup1", "cgroup2", "device", "firewall", "package", "validate", "entry"):
        assert elsewhere.readings.get(key) == here.get(key), key
    assert abs(float(elsewhere.readings["clock_ahead_s"][0])) < 2
    assert over_ssh.devices.filter(kind="pci").count() == elsewhere.host.devices.filter(kind="pci").count() > 0


def test_a_clock_that_is_a_day_off_is_measured(host, tmp_path, monkeypatch):
    program = tmp_path / "date"
    program.write_text('#!/bin/sh\necho "$(( $(/bin/date +%s) + 86400 )).5"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    ahead_s, doubt_s = reading._clock(host)
    assert 86390 < ahead_s < 86410
    assert doubt_s < 30


def test_what_lies_in_a_path_is_a_name_and_no_command(host, tmp_path, quick_apt):
    sign = tmp_path / "sign"
    odd = tmp_path / f'$(touch {sign.name}); `touch {sign.name}` it\'s "odd" é'
    odd.mkdir()
    values = reading.read(host, uid=0, directories=[str(odd), "relative", "/with\nnewline", "-rf"])
    assert any(line.endswith(f"- {odd}") for line in values["entry"])
    assert not sign.exists()
    assert not Path(sign.name).exists()
    assert not any("newline" in line or "relative" in line for line in values["entry"])


def test_what_a_host_tells_is_bounded():
    noise = "\n".join(["a=1"] * 9000 + ["b=2"])
    values = reading.parse(noise + "\n" + "c=" + "x" * 9000)
    assert len(values["a"]) == reading.MOST_LINES
    assert "b" not in values
    assert reading.parse("x=a\x1b[31mb\x00c")["x"] == ["a[31mbc"]
    assert reading.parse("no line of ours\n=x\n../../etc=x\n") == {}


def test_where_no_command_can_be_run_the_checks_say_why(client, viewer, host):
    Host.objects.filter(pk=host.pk).update(uri="test:///default", name="tested")
    host.refresh_from_db()
    with pytest.raises(NotSupported) as refused:
        reading.read(host, uid=None, directories=[])
    reading.keep(host, None, refused.value)
    client.force_login(viewer)
    page = client.get(reverse("hosts:checks", args=[host.pk])).content.decode()
    assert "kvmweb can run commands only" in page
    assert "Not checked:" in page


def test_in_a_container_it_is_not_the_container_that_is_checked(host, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "CONTAINER_SIGNS", (tmp_path,))
    monkeypatch.setattr(reading, "PROC", tmp_path)
    with pytest.raises(NotSupported, match="runs in a container"):
        reading.read(host, uid=0, directories=[])


def test_what_was_read_before_stays_when_the_host_is_silent(host):
    reading.keep(host, WELL)
    reading.keep(host, None, reading.ReadingFailed("It broke off."))
    report = HostReport.objects.get(host=host)
    assert report.readings == WELL
    assert report.readings_error == "It broke off."
    reading.keep(host, WELL)
    assert HostReport.objects.get(host=host).readings_error == ""


def test_hosts_are_looked_at_once_a_day(host, crowd, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(examine_quietly, "apply_async", lambda args, expires: asked.extend(args))
    Host.objects.filter(name="kvm-b01").update(uri="qemu+tcp://kvm-b01/system")  # no commands there
    examine_old()
    assert len(asked) == 60
    assert host.pk in asked
    reading.keep(host, WELL)
    asked.clear()
    examine_old()
    assert host.pk not in asked
    HostReport.objects.update(readings_tried_at="2020-01-01T00:00Z")
    Host.objects.filter(pk=host.pk).update(state="unreachable")
    asked.clear()
    examine_old()
    assert host.pk not in asked


def test_the_list_of_hosts_counts_what_is_wrong(client, viewer, host, crowd):
    HostReport.objects.create(host=host, failed_count=3, warning_count=0)
    HostReport.objects.create(host=crowd[0], failed_count=0, warning_count=7)
    HostReport.objects.create(host=crowd[1], failed_count=0, warning_count=0)
    client.force_login(viewer)
    page = client.get("/hosts/").content.decode()
    cells = dict(re.findall(r'href="/hosts/(\d+)/checks/"[^>]*>(.*?)</a>', page, re.S))
    assert "3 failed" in cells[str(host.pk)]
    assert "7 warnings" in cells[str(crowd[0].pk)]
    assert "nothing to mend" in cells[str(crowd[1].pk)]
    assert str(crowd[2].pk) not in cells


def test_rest_runs_the_checks_and_gives_them(client, bearer, host):
    answer = client.post(f"/api/v1/hosts/{host.pk}/checks", **bearer)
    assert answer.status_code == 202
    assert answer.json()["kind"] == "examine_host"
    assert client.post(f"/api/v1/hosts/{host.pk}/checks", **bearer).json()["code"] == "busy"
    HostReport.objects.create(host=host, details=details_of_a_big_machine(), readings=WELL)
    told = client.get(f"/api/v1/hosts/{host.pk}/checks", **bearer).json()
    assert told["counts"]["failed"] == 1
    assert told["checks"][0]["code"] == "kvm"
    assert {feature["code"] for feature in told["features"]} >= {"kvm", "tpm", "pci_passthrough"}


def test_a_viewer_reads_checks_and_runs_none(client, viewer, host):
    client.force_login(viewer)
    assert client.get(reverse("hosts:checks", args=[host.pk])).status_code == 200
    assert client.post(reverse("hosts:examine", args=[host.pk])).status_code == 404
    assert client.post(f"/api/v1/hosts/{host.pk}/checks").status_code in (401, 403, 404)
    assert not Job.objects.exists()


def test_a_disabled_host_is_not_looked_at(client, operator, host):
    Host.objects.filter(pk=host.pk).update(state="disabled")
    client.force_login(operator)
    answer = client.post(reverse("hosts:examine", args=[host.pk]))
    assert answer.status_code == 409
