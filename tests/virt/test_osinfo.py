"""Which system is on a disc, by the names that vendors give their discs."""

import pytest

from virt import osinfo
from virt.osinfo import UNKNOWN, detect_media, list_os, traits
from virt.types import IsoHeader


def disc(volume_id, *, system_id="", arch="x86_64", boots=True):
    return IsoHeader(
        volume_id=volume_id, system_id=system_id, publisher_id="MICROSOFT CORPORATION" if "X64FRE" in volume_id else "",
        application_id="", size_bytes=2**30, boots_bios=boots, boots_uefi=boots, arch=arch,
    )  # fmt: skip


def known(volume_id, **names):
    match = detect_media(disc(volume_id, **names))
    assert match, f"{volume_id} is not known"
    return match


@pytest.mark.parametrize(
    ("volume_id", "name"),
    [
        ("Debian 11.5.0 amd64 n", "Debian 11"),
        ("Debian 12.5.0 amd64 n", "Debian 12"),
        ("Debian 13.1.0 amd64 1", "Debian 13"),
        ("d-live 12.5.0 gn amd64", "Debian 12"),
        ("Ubuntu 22.04 LTS amd64", "Ubuntu 22.04 LTS"),
        ("Ubuntu-Server 24.04.1 LTS amd64", "Ubuntu 24.04 LTS"),
        ("Fedora-S-dvd-x86_64-41", "Fedora Linux 41"),
        ("Fedora-WS-Live-42", "Fedora Linux 42"),
        ("RHEL-9-6-0-BaseOS-x86_64", "Red Hat Enterprise Linux 9.6"),
        ("AlmaLinux-9-6-x86_64-dvd", "AlmaLinux 9"),
        ("Rocky-10-0-x86_64-dvd", "Rocky Linux 10"),
        ("CentOS-Stream-10-BaseOS-x86_64", "CentOS Stream 10"),
        ("openSUSE-Leap-15.6-DVD-x86_64-Build", "openSUSE Leap 15.6"),
        ("openEuler-24.03-LTS-x86_64", "openEuler 24.03 LTS"),
        ("alpine-virt 3.22.1 x86_64", "Alpine Linux 3.22"),
        ("14_3_RELEASE_AMD64_DVD", "FreeBSD 14.3"),
    ],
)
def test_a_disc_is_known_by_its_name(volume_id, name):
    match = known(volume_id)
    assert (match.name, match.confidence) == (name, "exact")


@pytest.mark.parametrize(
    ("volume_id", "name"),
    [
        ("Debian 19.0.0 amd64 n", "Debian 13"),
        ("Ubuntu-Server 31.04 amd64", "Ubuntu 26.04 LTS"),
        ("Fedora-E-dvd-x86_64-52", "Fedora Linux 43"),
    ],
)
def test_a_version_that_nobody_listed_gets_the_nearest_one_and_says_so(volume_id, name):
    match = known(volume_id)
    assert (match.name, match.confidence) == (name, "nearest")


def test_of_several_systems_with_the_same_label_the_newest_is_guessed():
    match = known("CCCOMA_X64FRE_EN-US_DV9")
    assert (match.name, match.confidence) == ("Microsoft Windows 11", "guess")
    match = known("SSS_X64FREE_EN-US_DV9")
    assert (match.name, match.confidence) == ("Microsoft Windows Server 2025", "guess")


def test_without_osinfo_db_the_newer_systems_are_still_known(monkeypatch):
    osinfo.forget()
    monkeypatch.setattr(osinfo, "database_directories", list)
    try:
        assert known("Debian 12.5.0 amd64 n").name == "Debian 12"
        assert traits("http://debian.org/debian/12").virtio_disk
        assert len(list_os()) > 50
    finally:
        osinfo.forget()


def test_a_users_own_database_adds_to_the_systems(monkeypatch, tmp_path):
    own = tmp_path / "os" / "acme.example"
    own.mkdir(parents=True)
    (own / "acme-1.xml").write_text(
        "<libosinfo><os id='http://acme.example/acme/1'><short-id>acme1</short-id><name>Acme 1</name>"
        "<version>1</version><family>linux</family><derives-from id='http://libosinfo.org/linux/2022'/>"
        "<media arch='x86_64'><iso><volume-id>^ACME_1</volume-id></iso></media></os></libosinfo>"
    )
    (own / "broken.xml").write_text("<libosinfo><os id='x'>")
    osinfo.forget()
    monkeypatch.setattr(osinfo, "database_directories", lambda: [tmp_path])
    try:
        assert known("ACME_1_X").name == "Acme 1"
        assert traits("http://acme.example/acme/1").virtio_net
    finally:
        osinfo.forget()


def test_a_bootable_disc_made_on_linux_is_a_guess_and_one_that_does_not_boot_is_nothing():
    assert known("MY RESCUE DISC", system_id="LINUX").confidence == "guess"
    assert detect_media(disc("MY FILES", system_id="LINUX", boots=False)) is None
    assert detect_media(disc("")) is None


def test_what_is_past_its_end_of_life_says_so():
    assert known("Ubuntu-Server 23.04 amd64").eol
    assert not known("Debian 13.1.0 amd64 n").eol


def test_windows_11_needs_what_it_needs_and_has_no_virtio_of_its_own():
    needs = traits("http://microsoft.com/win/11")
    assert (needs.needs_uefi, needs.needs_tpm, needs.needs_secure_boot) == (True, True, True)
    assert (needs.virtio_disk, needs.virtio_net) == (False, False)
    assert (needs.min_memory_mib, needs.disk_gib) == (4096, 64)


def test_a_linux_of_our_overlay_inherits_drivers_from_what_it_derives_from():
    needs = traits("http://debian.org/debian/13")
    assert needs.virtio_disk
    assert needs.virtio_net
    assert needs.q35
    assert not needs.needs_uefi
    assert needs.memory_mib >= needs.min_memory_mib > 0


def test_an_unknown_system_is_taken_for_a_modern_one():
    assert traits(UNKNOWN).virtio_disk
    assert traits("no such id").short_id == "unknown"


def test_the_picker_has_each_system_once_and_old_ones_last():
    choices = list_os()
    assert len({choice.id for choice in choices}) == len(choices) > 700
    assert choices.pop().id == UNKNOWN
    over = [choice.eol for choice in choices]
    assert over == sorted(over)
    dates = [choice.released for choice in choices if not choice.eol]
    assert dates == sorted(dates, reverse=True)
