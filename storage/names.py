"""What a person may say of a file that goes into a pool: its name and its checksum."""

import re
import unicodedata

from django.utils.translation import gettext as _

from storage.helper.parts import PART_NAME
from virt.errors import Invalid

MAX_NAME_BYTES = 255  # of any Linux file system
# They turn the reading direction, so that "gpj.exe" can be shown as something else.
_DIRECTION_MARKS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
_IN_NO_XML = "\ufffe\uffff"  # libvirt could not tell of the file, nor of others beside it
_UNSEEN = frozenset(_DIRECTION_MARKS + _IN_NO_XML)


def validate_file_name(name: str) -> str:
    """The name without spaces around it, in Unicode's composed form (NFC), or Invalid with field "name".

    Letters of any script, quotes, ampersands and angle brackets are fine; what leads out of a directory, hides a file
    or looks like an option of a command is not.
    """
    cleaned = unicodedata.normalize("NFC", name).strip()
    if not cleaned:
        raise _invalid(_("The file has no name. Give it one, such as debian-12.iso."))
    if "/" in cleaned:
        raise _invalid(_("A file name cannot contain a slash. Leave out the folders before it."))
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in _UNSEEN for c in cleaned):
        raise _invalid(_("The file name contains unseen characters, such as a line break. Rename the file."))
    if cleaned.startswith("."):
        raise _invalid(_("A file name cannot start with a dot: it would be hidden. Rename the file."))
    if cleaned.startswith("-"):
        raise _invalid(_("A file name cannot start with a dash: it would look like an option. Rename the file."))
    if len(cleaned.encode()) > MAX_NAME_BYTES:
        raise _invalid(
            _("The file name is longer than %(limit)d bytes, more than file systems hold. Choose a shorter one.")
            % {"limit": MAX_NAME_BYTES}
        )
    return cleaned


def valid_sha256(text: str, *, field: str = "sha256") -> str:
    """The checksum in small letters, "" where none was given. Raises Invalid."""
    cleaned = text.strip().lower()
    if cleaned and not re.fullmatch("[0-9a-f]{64}", cleaned):
        raise Invalid(_("A SHA-256 checksum has 64 hexadecimal digits."), field=field)
    return cleaned


def is_part_file(name: str) -> bool:
    """Whether this is the part of an upload under way. libvirt lists it as a volume like any other file."""
    return PART_NAME.fullmatch(name) is not None


def _invalid(message: str) -> Invalid:
    return Invalid(message, field="name")
