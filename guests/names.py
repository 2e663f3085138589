"""Names that people give to tags, folders and views: any language, one line, no control characters."""

import unicodedata

from django.utils.translation import gettext as _

from virt.errors import Invalid

_UNSEEN = ("Cc", "Cf", "Cs", "Co")


def one_line(text: str, *, at_most: int, field: str, without: str = "") -> str:
    """`text` in Unicode's composed form, with single spaces. Raises Invalid when it is empty, too long or unreadable.

    `without` are characters that it may not have, because they mean something where the name is typed.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name or len(name) > at_most:
        raise Invalid(_("Give it a name of 1 to %(most)d characters.") % {"most": at_most}, field=field)
    # Cf are marks that nobody sees, such as those that turn the direction of writing; ZWJ and ZWNJ spell words.
    if any(unicodedata.category(mark) in _UNSEEN and mark not in "\u200c\u200d" for mark in name):
        raise Invalid(_("The name has characters in it that nobody sees. Type it anew."), field=field)
    if forbidden := [mark for mark in without if mark in name]:
        raise Invalid(_("The name cannot have %(marks)s in it.") % {"marks": " ".join(forbidden)}, field=field)
    return name


def key(name: str) -> str:
    """The same for names that differ in case only."""
    return unicodedata.normalize("NFC", name.casefold())
