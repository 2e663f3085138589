"""allauth's seams: nobody signs up by themselves, administrators add users."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedSignup(DefaultAccountAdapter):  # type: ignore[misc]
    """Login only."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
