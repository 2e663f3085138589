"""What several tests of this room need."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from virt.xmltree import E, dump

URI = "qemu:///system"
PREFIX = f"kvt-virt-{os.getpid()}-"
DATA = Path(__file__).with_name("data")


def wait_for(question: Callable[[], object], timeout_s: float = 10.0) -> bool:
    """Whether the answer became true in time."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if question():
            return True
        time.sleep(0.05)
    return bool(question())


def unique(word: str = "") -> str:
    return f"{PREFIX}{uuid4().hex[:6]}{word}"


def tiny_guest(name: str, *devices: object, memory_mib: int = 32, vcpus: int = 1) -> str:
    """A guest without a disk that starts in a third of a second: firmware only, a serial port and a VNC display."""
    return dump(
        E.domain(
            E.name(name),
            E.memory(str(memory_mib), unit="MiB"),
            E.vcpu(str(vcpus)),
            E.os(E.type("hvm", arch="x86_64", machine="q35"), E.bios(useserial="yes")),
            E.features(E.acpi()),
            E.devices(
                E.console(type="pty"),
                E.graphics(E.listen(type="none"), type="vnc"),
                E.memballoon(model="none"),
                *devices,
            ),
            type="qemu",
        )
    )
