"""allauth's seams: nobody signs up by themselves, administrators add users; what a failed login reads."""

from typing import ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _


class ClosedSignup(DefaultAccountAdapter):  # type: ignore[misc]
    """Login only."""

    error_messages: ClassVar = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": _("The name or the password is not right. Capital letters count."),
        "too_many_login_attempts": _("Too many failed logins. Wait five minutes and try again."),
        "account_inactive": _("This user may not log in. An administrator can enable it under Users."),
        "incorrect_password": _("The password is not right."),
        "enter_current_password": _("The present password is not right."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
