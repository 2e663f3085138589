"""What differs between two definitions of a guest, element by element, also for elements that nobody has modelled.

https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from virt.domain_summary import firmware
from virt.xmltree import Element, attribute, number, parse, size_bytes, text

MOST_CHANGES = 200
_LONGEST = 200  # characters of a value that are shown
# Attributes that tell elements of one name apart; the first that an element has counts.
_IDENTITY = ("name", "id", "index", "dev", "type", "vcpu", "port")
_PORTS = ("pcie-root-port", "pcie-root", "pci-root", "pcie-to-pci-bridge", "pci-bridge")  # libvirt adds them by itself


@dataclass(frozen=True, kw_only=True)
class DefinitionChange:
    """One thing that differs.

    `what` is a word for what pages have a name for ("memory", "disk", "interface" …) or "" for other elements;
    `which` tells devices apart (vda, a MAC address); `path` leads from there to what differs ("driver/@cache"), and is
    "" where all of it came or went. None in `before` or `after`: it was not there, or is not there any more.
    """

    what: str
    which: str = ""
    path: str = ""
    before: str | None
    after: str | None


def compare_definitions(old: str, new: str) -> list[DefinitionChange]:
    """The differences, most telling first, at most MOST_CHANGES. Places on buses, which libvirt gives, are left out.

    Raises Invalid for what is no XML.
    """
    before, after = parse(old), parse(new)
    changes = [*_values(before, after), *_devices(before, after), *_others(before, after)]
    return changes[:MOST_CHANGES]


def host_resources(xml: str) -> set[str]:
    """Whatever of its host a definition reaches: files, devices, directories, and what it says to QEMU directly."""
    root = parse(xml)
    found = {
        f"{source.getparent().tag}:{name!s}:{value!s}"  # type: ignore[union-attr]
        for source in root.iterfind("devices//source")
        for name, value in source.attrib.items()
        if name in ("file", "dev", "dir", "path", "name", "volume", "socket")
    }
    found |= {_flat(element) for element in root.iterfind("devices/hostdev")}
    found |= {_flat(element) for element in root if isinstance(element.tag, str) and element.tag.startswith("{")}
    found |= {
        f"{path}:{text(root, path)}" for path in ("os/kernel", "os/initrd", "os/loader", "os/nvram", "devices/emulator")
    }
    return found


# --- numbers and words that pages have a name for ---------------------------------------------------------------------
def _values(before: Element, after: Element) -> Iterator[DefinitionChange]:
    old, new = _named(before), _named(after)
    for what, value in old.items():
        if value != new[what]:
            yield DefinitionChange(what=what, before=value or None, after=new[what] or None)


def _named(root: Element) -> dict[str, str]:
    memory, current = size_bytes(root.find("memory")), size_bytes(root.find("currentMemory"))
    vcpus = number(text(root, "vcpu", "1"), 1)
    at_start = number(attribute(root, "vcpu", "current"), vcpus)
    return {
        "name": text(root, "name"),
        "title": text(root, "title"),
        "description": _short(root.findtext("description") or ""),
        "memory": _mib(memory),
        "current memory": _mib(current) if current != memory else "",
        "maximum memory": _mib(size_bytes(root.find("maxMemory"))),
        "vcpus": str(vcpus) if at_start == vcpus else f"{at_start} / {vcpus}",
        "type": str(root.get("type", "")),
        "arch": attribute(root, "os/type", "arch"),
        "machine": attribute(root, "os/type", "machine"),
        "firmware": firmware(root),
        "cpu": " ".join(filter(None, (attribute(root, "cpu", "mode"), text(root, "cpu/model")))),
        "boot order": _boot(root),
    }


def _mib(size: int) -> str:
    if not size:
        return ""
    return f"{size // 2**20} MiB" if size % 2**20 == 0 else f"{size // 2**10} KiB"


def _boot(root: Element) -> str:
    names = [str(boot.get("dev", "")) for boot in root.iterfind("os/boot")]
    ordered = [
        (order, _identity(device) or _local(device))
        for device in _children(root.find("devices"))
        if (order := number(attribute(device, "boot", "order")))
    ]
    return ", ".join([*names, *(name for _order, name in sorted(ordered))])


# --- devices ----------------------------------------------------------------------------------------------------------
def _devices(before: Element, after: Element) -> Iterator[DefinitionChange]:
    old, new = _keyed_devices(before), _keyed_devices(after)
    for key in [*old, *(key for key in new if key not in old)]:
        tag, which = key[0], key[1]
        if key not in new:
            yield DefinitionChange(what=tag, which=which, before=_summary(old[key]), after=None)
        elif key not in old:
            yield DefinitionChange(what=tag, which=which, before=None, after=_summary(new[key]))
        else:
            for path, one, other in _differences(old[key], new[key], skip=("address", "alias", "boot")):
                yield DefinitionChange(what=tag, which=which, path=path, before=one, after=other)


def _keyed_devices(root: Element) -> dict[tuple[str, str, int], Element]:
    found: dict[tuple[str, str, int], Element] = {}
    for device in _children(root.find("devices")):
        if device.tag == "controller" and device.get("model") in _PORTS:
            continue
        tag, which, ordinal = _local(device), _identity(device), 0
        while (tag, which, ordinal) in found:
            ordinal += 1
        found[tag, which, ordinal] = device
    return found


def _identity(device: Element) -> str:
    by_tag = {
        "disk": ("target", "dev"),
        "interface": ("mac", "address"),
        "filesystem": ("target", "dir"),
        "channel": ("target", "name"),
    }
    if device.tag in by_tag:
        return attribute(device, *by_tag[str(device.tag)])
    if device.tag == "controller":
        return f"{device.get('type', '')} {device.get('index', '')}".strip()
    if device.tag in ("graphics", "input", "hostdev"):
        return " ".join(str(device.get(name)) for name in ("type", "bus") if device.get(name))
    return ""


def _summary(device: Element) -> str:
    """Enough to know it again: where it leads to and what it is."""
    words = [value for name, value in device.attrib.items() if name in ("type", "device", "model", "mode", "bus")]
    for path in ("source", "target", "driver", "model", "backend"):
        found = device.find(path)
        if found is not None:
            words += [
                v for k, v in found.attrib.items() if k not in ("dev", "vram", "heads", "primary") or path == "source"
            ]
    return _short(" ".join(dict.fromkeys(str(word) for word in words)))


# --- everything else --------------------------------------------------------------------------------------------------
_NAMED_PATHS = ("name", "uuid", "title", "description", "memory", "currentMemory", "maxMemory", "vcpu", "devices")
_NAMED_BELOW = {"os": ("type/@arch", "type/@machine", "boot"), "cpu": ("@mode", "model")}


def _others(before: Element, after: Element) -> Iterator[DefinitionChange]:
    for path, old, new in _differences(before, after, skip=(*_NAMED_PATHS, "@type")):
        head, _, rest = path.partition("/")
        if not any(rest == name or rest.startswith(f"{name}[") for name in _NAMED_BELOW.get(head, ())):
            yield DefinitionChange(what="", path=path, before=old, after=new)


def _differences(
    old: Element, new: Element, *, skip: tuple[str, ...] = ()
) -> Iterator[tuple[str, str | None, str | None]]:
    """(path, before, after) of each attribute, text or child that differs; `skip` names children of the first level."""
    for name in sorted({str(name) for name in (*old.attrib, *new.attrib)}):
        if f"@{name}" not in skip and old.get(name) != new.get(name):
            yield f"@{_plain(name)}", _value(old.get(name)), _value(new.get(name))
    one, other = (old.text or "").strip(), (new.text or "").strip()
    if one != other:
        yield "", _short(one), _short(other)
    ours, theirs = _keyed_children(old), _keyed_children(new)
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        if key.partition("[")[0] in skip:
            continue
        if key not in theirs:
            yield key, _short(_flat(ours[key])), None
        elif key not in ours:
            yield key, None, _short(_flat(theirs[key]))
        else:
            for path, before, after in _differences(ours[key], theirs[key]):
                yield f"{key}/{path}" if path else key, before, after


def _keyed_children(element: Element) -> dict[str, Element]:
    children = _children(element)
    names = [_local(child) for child in children]
    counts = Counter(names)
    found: dict[str, Element] = {}
    for child, name in zip(children, names, strict=True):
        key = name
        if counts[name] > 1:
            mark = next((f"{which}={child.get(which)}" for which in _IDENTITY if child.get(which)), "")
            key, ordinal = f"{name}[{mark}]" if mark else f"{name}[1]", 1
            while key in found:
                ordinal += 1
                key = f"{name}[{mark} {ordinal}]" if mark else f"{name}[{ordinal}]"
        found[key] = child
    return found


def _children(element: Element | None) -> list[Element]:
    """Without comments and the like, whose tag is no string."""
    return [] if element is None else [child for child in element if isinstance(child.tag, str)]


def _flat(element: Element) -> str:
    """An element with all that is in it, in one line: type=pci model=x, child(type=y)."""
    words = [f"{_plain(str(name))}={value!s}" for name, value in element.attrib.items()]
    if content := (element.text or "").strip():
        words.insert(0, content)
    for child in _children(element):
        inside = _flat(child)
        words.append(f"{_local(child)}({inside})" if inside else _local(child))
    return " ".join(words)


def _local(element: Element) -> str:
    return _plain(str(element.tag))


def _plain(name: str) -> str:
    """Without the namespace."""
    return name.rpartition("}")[2]


def _value(value: str | None) -> str | None:
    return None if value is None else _short(str(value))


def _short(value: str) -> str:
    one_line = " ".join(value.split())
    return one_line if len(one_line) <= _LONGEST else f"{one_line[: _LONGEST - 1]}…"
