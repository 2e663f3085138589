"""What the frame of every page shows: counts in the navigation, theme, version. From rows only."""

from typing import Any

from django.http import HttpRequest

from accounts.models import User
from accounts.permissions import may
from guests.models import Guest
from hosts.models import Host
from jobs.models import Job
from networking.models import Bridge, Network
from storage.models import Iso, Pool, Volume

from . import __version__


def frame(request: HttpRequest) -> dict[str, Any]:
    """`nav_counts`, `theme`, `version`, `can_administer`; counts are queried only where the template prints them."""
    user = getattr(request, "user", None)
    theme = user.theme if isinstance(user, User) else User.Theme.AUTO
    return {
        "theme": theme,
        "version": __version__,
        "nav_counts": _Counts(user) if isinstance(user, User) else {},
        "can_administer": bool(user and may(user, "administer")),
    }


class _Counts:
    """Counts of what `user` may see; each is one query, made when a template asks for it."""

    def __init__(self, user: User) -> None:
        self.user = user

    def guests(self) -> int:
        return Guest.objects.permitted(self.user, "view").filter(missing_since=None).count()

    def hosts(self) -> int:
        return Host.objects.permitted(self.user, "view").count()

    def isos(self) -> int:
        return Iso.objects.permitted(self.user, "view").filter(volume__missing_since=None).count()

    def pools(self) -> int:
        return Pool.objects.permitted(self.user, "view").filter(missing_since=None).count()

    def volumes(self) -> int:
        return Volume.objects.permitted(self.user, "view").filter(missing_since=None).count()

    def bridges(self) -> int:
        return Bridge.objects.permitted(self.user, "view").filter(missing_since=None).count()

    def networks(self) -> int:
        return Network.objects.permitted(self.user, "view").filter(missing_since=None).count()

    def jobs_active(self) -> int:
        return Job.objects.permitted(self.user, "view").active().count()
