"""The XML library behind one small door: parsing without entities or network, and writing back what was read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from lxml import etree
from lxml.builder import ElementMaker

from virt.errors import Invalid

Element = etree._Element


class _Maker(Protocol):
    def __call__(self, tag: str, *content: object, **attributes: str) -> Element: ...
    def __getattr__(self, tag: str) -> Callable[..., Element]: ...


E: _Maker = ElementMaker()
"""E.name("web-01"), E.boot(order="1"): builds elements, with all escaping done by the tree."""


def parse(xml: str | bytes, *, keep_layout: bool = True) -> Element:
    """The root element. Raises Invalid when it is not well-formed XML.

    Entities are not resolved and nothing is fetched: the text may come from a user. Without the layout, the space
    between elements, reading takes a quarter less; it is not for what is written back.
    """
    try:
        return etree.fromstring(xml.encode() if isinstance(xml, str) else xml, _parser(keep_layout))
    except etree.XMLSyntaxError as exc:
        raise Invalid("This is not well-formed XML.", details=str(exc), field="xml") from exc
    except UnicodeEncodeError as exc:
        raise Invalid("The XML holds characters that do not exist in Unicode.", details=str(exc), field="xml") from exc


def _parser(keep_layout: bool) -> etree.XMLParser:
    """One for each thread: making a parser takes as long as parsing a definition, and sharing one makes others wait."""
    name = "whole" if keep_layout else "lean"
    parser: etree.XMLParser | None = getattr(_of_thread, name, None)
    if parser is None:
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            collect_ids=False,  # nobody asks for an element by its xml:id; noting them takes a quarter of the time
            encoding="utf-8",
            remove_blank_text=not keep_layout,
            remove_comments=not keep_layout,
        )
        setattr(_of_thread, name, parser)
    return parser


_of_thread = threading.local()


def dump(element: Element) -> str:
    """The element as text, without an XML declaration, as libvirt likes it."""
    return etree.tostring(element, encoding="unicode", with_tail=False)


def indent(element: Element) -> Element:
    """Lay out a tree that we built; never one that we read, whose layout is its owner's."""
    etree.indent(element, space="  ")
    return element


def text(element: Element, path: str, default: str = "") -> str:
    """The stripped text at `path` below `element`, or `default` when there is no such element or it is empty."""
    found = element.findtext(path)
    return found.strip() if found and found.strip() else default


def attribute(element: Element, path: str, name: str, default: str = "") -> str:
    """An attribute of the element at `path` below `element`, or `default`."""
    found = element.find(path)
    return str(found.get(name, default)) if found is not None else default


def number(value: str | None, default: int = 0) -> int:
    """A non-negative decimal number, or `default` where libvirt has none to tell."""
    return int(value) if value and value.strip().isascii() and value.strip().isdigit() else default


_UNITS = {"b": 1, "bytes": 1, "byte": 1}
for _power, _letter in enumerate("kmgtpe", start=1):
    _UNITS |= {f"{_letter}": 1024**_power, f"{_letter}ib": 1024**_power, f"{_letter}b": 1000**_power}


def size_bytes(element: Element | None, default_unit: str = "KiB") -> int:
    """A scaled size such as <memory unit='MiB'>512</memory>. https://libvirt.org/formatdomain.html#memory-allocation"""
    if element is None:
        return 0
    unit = str(element.get("unit", default_unit)).lower()
    return number(element.text) * _UNITS.get(unit, 1024)
