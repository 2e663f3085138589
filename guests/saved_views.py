"""Saved views of the guest list, and how each user wants the list."""

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from accounts.permissions import NotAllowed, token_allows
from virt.errors import Invalid

from . import columns
from .list_models import MOST_IN_VIEW, Density, ListSettings, SavedView
from .names import one_line

MOST_VIEWS = 50  # of one user


def visible(user: User) -> QuerySet[SavedView]:
    """Their own views and those that others share."""
    return SavedView.objects.filter(Q(owner=user) | Q(is_shared=True)).select_related("owner")


def settings_of(user: User) -> ListSettings:
    """How `user` wants the list; the usual way (not saved) where they never said."""
    found = ListSettings.objects.filter(user=user).select_related("default_view").first()
    return found or ListSettings(user=user)


def save_view(
    *, by: User, name: str, query: str, sort: str = "", shown: object = (), is_shared: bool = False
) -> SavedView:
    """Keep a search under a name. Raises Invalid (field "name" or "query")."""
    _check_token(by)
    wanted = one_line(name, at_most=MOST_IN_VIEW, field="name")
    if SavedView.objects.filter(owner=by).count() >= MOST_VIEWS:
        sentence = _("You have %(most)d saved views, which is the most. Delete one first.")
        raise Invalid(sentence % {"most": MOST_VIEWS}, field="name")
    try:
        with transaction.atomic():
            view = SavedView.objects.create(
                owner=by,
                name=wanted,
                query=_query(query),
                sort=_sort(sort),
                columns=columns.known(shown),
                is_shared=is_shared,
            )
            audit.record(by, "save_view", kind="view", object_id=view.pk, name=view.name)
    except IntegrityError as error:
        raise _taken(wanted) from error
    return view


def change_view(
    view: SavedView,
    *,
    by: User,
    name: str | None = None,
    query: str | None = None,
    sort: str | None = None,
    shown: object = None,
    is_shared: bool | None = None,
) -> SavedView:
    """Change what is given of one's own view. Raises NotAllowed or Invalid."""
    _check_owner(view, by)
    if name is not None:
        view.name = one_line(name, at_most=MOST_IN_VIEW, field="name")
    if query is not None:
        view.query = _query(query)
    if sort is not None:
        view.sort = _sort(sort)
    if shown is not None:
        view.columns = columns.known(shown)
    if is_shared is not None:
        view.is_shared = is_shared
    try:
        with transaction.atomic():
            view.save()
            audit.record(by, "change_view", kind="view", object_id=view.pk, name=view.name)
    except IntegrityError as error:
        raise _taken(view.name) from error
    return view


def delete_view(view: SavedView, *, by: User) -> None:
    """Forget one's own view. Whoever starts with it starts with all guests again. Raises NotAllowed."""
    _check_owner(view, by)
    audit.record(by, "delete_view", kind="view", object_id=view.pk, name=view.name)
    view.delete()


def set_default(user: User, view: SavedView | None) -> None:
    """The view with which the list opens for `user`; None: all guests."""
    _check_token(user)
    ListSettings.objects.update_or_create(user=user, defaults={"default_view": view})


def set_columns(user: User, names: object) -> None:
    """The columns that `user` sees, in this order; none: the usual ones."""
    ListSettings.objects.update_or_create(user=user, defaults={"columns": columns.known(names)})


def set_density(user: User, density: str) -> None:
    """How high the rows are for `user`. Raises Invalid."""
    if density not in Density.values:
        raise Invalid(_("Rows can be: %(names)s.") % {"names": ", ".join(Density.values)}, field="density")
    ListSettings.objects.update_or_create(user=user, defaults={"density": density})


def _query(query: str) -> str:
    text = " ".join(query.split())
    most = SavedView._meta.get_field("query").max_length or 0
    if len(text) > most or not text.isprintable():
        raise Invalid(_("A search has at most %(most)d characters.") % {"most": most}, field="query")
    return text


def _sort(sort: str) -> str:
    if sort and sort.removeprefix("-") not in columns.SORTABLE:
        names = ", ".join(sorted(columns.SORTABLE))
        raise Invalid(_("Guests can be sorted by: %(names)s.") % {"names": names}, field="sort")
    return sort


def _check_token(user: User) -> None:
    """Views are a user's own, whatever their role; a token that may only read changes nothing all the same."""
    if not token_allows(user, "operate"):
        raise NotAllowed(_("This token may only read."))


def _check_owner(view: SavedView, user: User) -> None:
    _check_token(user)
    if view.owner_id != user.pk:
        raise NotAllowed(_("“%(name)s” is a view of %(owner)s.") % {"name": view.name, "owner": view.owner})


def _taken(name: str) -> Invalid:
    return Invalid(_("You have a view named “%(name)s” already.") % {"name": name}, field="name")
