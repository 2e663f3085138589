"""Fields for what nobody shall see."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _

from virt.secret_xml import LONGEST_VALUE_BYTES


class HiddenText(forms.PasswordInput):
    """The server asks for it, not the browser, which would also ask where the field is not shown."""

    def use_required_attribute(self, initial: Any) -> bool:
        return False


def hidden_field(label: Any, **options: Any) -> forms.CharField:
    """A field whose text nobody sees, and which comes back empty."""
    widget = HiddenText(attrs={"autocomplete": "new-password", "spellcheck": "false"})
    return forms.CharField(label=label, strip=False, max_length=LONGEST_VALUE_BYTES, widget=widget, **options)


def check_same(form: forms.Form, data: dict[str, Any]) -> None:
    """Refuse a passphrase that was typed in two ways: nobody could open the disk."""
    if data.get("passphrase") != data.get("passphrase_again"):
        form.add_error("passphrase_again", _("This is not what was typed above. Type the passphrase twice again."))
