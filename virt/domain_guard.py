"""The last look at a domain XML before libvirt gets it: what crashes libvirtd or damages its state is refused here.

libvirt's own checks come after these; its schema lets all of this pass.
"""

from __future__ import annotations

from virt import validate
from virt.errors import Invalid
from virt.xmltree import Element, parse

# Where libvirt 9.0 makes arrays of the number it reads, and what it may reach.
_COUNTS = [
    ("vcpu", None, 1, validate.MAX_VCPUS),
    ("vcpu", "current", 1, validate.MAX_VCPUS),
    ("iothreads", None, 0, 1024),
    ("maxMemory", "slots", 0, 256),
    ("cpu/topology", "sockets", 1, validate.MAX_VCPUS),
    ("cpu/topology", "dies", 1, validate.MAX_VCPUS),
    ("cpu/topology", "clusters", 1, validate.MAX_VCPUS),
    ("cpu/topology", "cores", 1, validate.MAX_VCPUS),
    ("cpu/topology", "threads", 1, validate.MAX_VCPUS),
    ("vcpus/vcpu", "id", 0, validate.MAX_VCPUS - 1),
    ("cpu/numa/cell", "id", 0, 1024),
    ("cputune/vcpupin", "vcpu", 0, validate.MAX_VCPUS - 1),
    ("devices/controller", "index", 0, 1024),
    ("devices/interface/driver", "queues", 1, 256),
    ("devices/disk/driver", "queues", 1, 1024),
    ("devices/controller/driver", "queues", 1, 1024),
]


def check_domain(xml: str) -> str:
    """Raise Invalid for XML that must not reach libvirt; return the guest's name.

    A vCPU count of -1 aborts libvirtd 9.0. A guest named "..", once its definition fails, makes it delete its own state
    directory, since it clears "<state directory>/snapshot/<name>".
    """
    root = parse(xml)
    if root.tag != "domain":
        raise Invalid(f"This describes a <{root.tag}>, not a <domain>.", field="xml")
    name = (root.findtext("name") or "").strip()
    if not name:
        raise Invalid("The definition has no <name>.", field="xml")
    if name in (".", "..") or "/" in name or len(name.encode()) > 247:
        raise Invalid(
            "This name cannot be a file name, and libvirt keeps files by that name. Choose another.", field="name"
        )
    for path, attribute, low, high in _COUNTS:
        for element in root.iterfind(path):
            _check_count(element, attribute, low, high)
    return name


def _check_count(element: Element, attribute: str | None, low: int, high: int) -> None:
    value = element.text or "" if attribute is None else element.get(attribute)
    if value is None:
        return
    number = value.strip()
    if not (number.isascii() and number.isdigit() and len(number) <= 9 and low <= int(number) <= high):
        where = f"<{element.tag}>" if attribute is None else f"<{element.tag} {attribute}='…'>"
        raise Invalid(f"{where} must be a whole number from {low} to {high}, not {number[:20]}.", field="xml")
