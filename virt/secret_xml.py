"""The document that defines a secret, and what its value must be. https://libvirt.org/formatsecret.html"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import NamedTuple

from virt import validate
from virt.errors import Invalid
from virt.types.secrets import SecretInfo
from virt.xmltree import E, dump, parse, text

USAGES = {"volume": "volume", "ceph": "name", "iscsi": "target", "tls": "name"}
"""What secrets are made for, and the element that then says which one."""

_READABLE = {**USAGES, "vtpm": "name"}
_ASKED_AS = {"passphrase": "volume", "chap": "iscsi"}  # how definitions call what secrets are for
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.:@/+-]{0,222}", re.ASCII)
SHORTEST_PASSPHRASE, LONGEST_VALUE_BYTES = 8, 512


@dataclass(frozen=True, kw_only=True)
class SecretXML:
    """A <secret> to define; always private, so that libvirt never gives its value back.

    `usage_id` is the path of the volume, or the name by which a pool or a disk asks for it.
    """

    uuid: str
    usage: str
    usage_id: str
    description: str = ""
    is_ephemeral: bool = False

    def to_xml(self) -> str:
        """Raises Invalid, with the field, for what libvirt would not take."""
        secret = E.secret(
            E.uuid(validate.uuid(self.uuid)),
            ephemeral="yes" if self.is_ephemeral else "no",
            private="yes",
        )
        if self.description:
            secret.append(E.description(check_description(self.description)))
        name = check_usage(self.usage, self.usage_id)
        secret.append(E.usage(E(USAGES[self.usage], name), type=self.usage))
        return dump(secret)


def unnamed_xml(uuid: str) -> str:
    """A secret for a moment: for no usage, and only in libvirt's memory."""
    return dump(E.secret(E.uuid(validate.uuid(uuid)), ephemeral="yes", private="yes"))


def read_secret(xml: str) -> SecretInfo:
    """What libvirt says of a secret."""
    root = parse(xml)
    usage = root.find("usage")
    kind = str(usage.get("type", "")) if usage is not None else ""
    return SecretInfo(
        uuid=text(root, "uuid"),
        usage=kind,
        usage_id=text(usage, _READABLE[kind]) if usage is not None and kind in _READABLE else "",
        description=text(root, "description"),
        is_ephemeral=root.get("ephemeral") == "yes",
        is_private=root.get("private") == "yes",
    )


class NamedSecret(NamedTuple):
    """A secret as a definition asks for it: by `uuid`, or by `usage` and `usage_id`; what it does not say is ""."""

    uuid: str
    usage: str
    usage_id: str

    def is_for(self, secret: SecretInfo) -> bool:
        """Whether it is that one."""
        if self.uuid:
            return self.uuid == secret.uuid
        return bool(self.usage_id) and (self.usage, self.usage_id) == (secret.usage, secret.usage_id)


def secrets_named(xml: str) -> list[NamedSecret]:
    """The secrets that a guest's or a pool's definition asks for. What is no XML asks for none."""
    try:
        root = parse(xml, keep_layout=False)
    except Invalid:
        return []
    found = []
    for element in root.iter("secret"):
        parent = element.getparent()
        kind = str(element.get("type") or (parent.get("type") if parent is not None else "") or "")
        uuid, usage_id = str(element.get("uuid", "")).lower(), str(element.get("usage", ""))
        found.append(NamedSecret(uuid, _ASKED_AS.get(kind, kind), usage_id))
    found.extend(NamedSecret(str(e.get("secret")).lower(), "", "") for e in root.iter("encryption") if e.get("secret"))
    return found


def check_usage(usage: str, usage_id: str) -> str:
    """What the secret is for, as libvirt gets it. Raises Invalid (field "usage" or "usage_id")."""
    if usage not in USAGES:
        raise Invalid(f"A secret can be for {', '.join(USAGES)}.", field="usage")
    if usage == "volume":
        return validate.absolute_path(usage_id, field="usage_id")
    if not _NAME.fullmatch(usage_id):
        raise Invalid(
            "A name has letters, digits, blanks and . _ : @ / + - in it, begins with a letter or a digit, and is no "
            "longer than 223.",
            field="usage_id",
        )
    return usage_id


def check_description(description: str) -> str:
    """One line for people. Raises Invalid (field "description")."""
    found = validate.xml_text(description, field="description")
    if "\n" in found or len(found) > 255:
        raise Invalid("A description is one line of at most 255 characters.", field="description")
    return found


def value_bytes(usage: str, value: str) -> bytes:
    """What libvirt gets as the value that a person gave. Raises Invalid (field "value"), never with the value in it.

    A Ceph key is given as Ceph prints it, which is base64; libvirt wants what that stands for.
    """
    if usage == "ceph":
        try:
            found = base64.b64decode(value.strip(), validate=True)
        except (binascii.Error, ValueError):
            found = b""
        if not 1 <= len(found) <= LONGEST_VALUE_BYTES:
            raise Invalid(
                "This is no Ceph key. Give it as “ceph auth get-key client.NAME” prints it: letters and digits that "
                "end in “==”.",
                field="value",
            )
        return found
    found = value.encode(errors="replace")
    if not 1 <= len(found) <= LONGEST_VALUE_BYTES or not value.isprintable():
        raise Invalid(f"Give one line of at most {LONGEST_VALUE_BYTES} bytes.", field="value")
    return found


def check_passphrase(passphrase: str) -> bytes:
    """A passphrase for a new encrypted disk. Raises Invalid (field "passphrase"), never with it in the sentence."""
    found = passphrase.encode(errors="replace")
    if len(passphrase) < SHORTEST_PASSPHRASE or len(found) > LONGEST_VALUE_BYTES or not passphrase.isprintable():
        raise Invalid(
            f"A passphrase has at least {SHORTEST_PASSPHRASE} characters, at most {LONGEST_VALUE_BYTES} bytes, and is "
            "one line.",
            field="passphrase",
        )
    return found
