"""Recognises the family and version of a system by the label of its medium, for versions that no database knows yet."""

from __future__ import annotations

import re

# Label, and what the ids of the family begin with; the label's numbers are the version.
_LABELS = [
    (r"^(?:Debian|d-live) (\d+)", "http://debian.org/debian/"),
    (r"^(?:[A-Z][a-z]*buntu|Ubuntu)[\w-]* (\d+)\.(\d+)", "http://ubuntu.com/ubuntu/"),
    (r"^Linux Mint (\d+)", "http://linuxmint.com/linuxmint/"),
    (r"^Fedora-[\w-]*?-(\d{2,3})(?!\d|_)", "http://fedoraproject.org/fedora/"),
    (r"^RHEL[-_](\d+)[-_.](\d+)", "http://redhat.com/rhel/"),
    (r"^AlmaLinux-(\d+)", "http://almalinux.org/almalinux/"),
    (r"^Rocky-(?:[A-Za-z-]*-)?(\d+)", "http://rockylinux.org/rocky/"),
    (r"^CentOS-Stream-(\d+)", "http://centos.org/centos-stream/"),
    (r"^CentOS[- _](\d+)", "http://centos.org/centos/"),
    (r"^OL-(\d+)-(\d+)", "http://oracle.com/ol/"),
    (r"^openEuler-(\d+)\.(\d+)", "http://openeuler.org/openeuler/"),
    (r"^AnolisOS-(\d+)", "http://openanolis.cn/anolis/"),
    (r"^Kylin-Server-V?(\d+)", "http://kylinos.cn/kylin-server/"),
    (r"(?i)^(?:Install-|openSUSE[-_])*Leap[-_](\d+)\.(\d+)", "http://opensuse.org/opensuse/"),
    (r"^SLE-(\d+)-SP(\d+)", "http://suse.com/sle/"),
    (r"^(?:Install-)?SLES[-_](\d+)\.(\d+)", "http://suse.com/sle/"),
    (r"^alpine-\w+ (\d+)\.(\d+)", "http://alpinelinux.org/alpinelinux/"),
    (r"^(\d+)_(\d+)_(?:RELEASE|STABLE|RC\d|BETA\d)", "http://freebsd.org/freebsd/"),
    (r"^OpenBSD[/\w]* +(\d+)\.(\d+)", "http://openbsd.org/openbsd/"),
    (r"^NetBSD[/\w-]* *(\d+)\.(\d+)", "http://netbsd.org/netbsd/"),
    (r"^nixos-\w+-(\d+)\.(\d+)", "http://nixos.org/nixos/"),
]


def family_and_version(*labels: str) -> tuple[str, tuple[int, ...]] | None:
    """What the ids of the family begin with, and the version on the label; None for labels that say nothing."""
    for label in labels:
        for pattern, prefix in _LABELS:
            if found := re.match(pattern, label):
                return prefix, tuple(int(part) for part in found.groups())
    return None
