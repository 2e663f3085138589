"""Pages of saved views, of the columns that a user wants, and of the height of rows."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.rest import actor
from guests import columns, saved_views
from guests.list_models import Density
from guests.listing import asked_at
from virt.errors import Invalid


@require_http_methods(["GET", "POST"])
def view_new(request: HttpRequest) -> HttpResponse:
    """Keep the search of the list's address under a name."""
    user = actor(request)
    asked = asked_at(user, request.GET)
    error = None
    if request.method == "POST":
        try:
            shown = [column.name for column in asked.columns] if "with_columns" in request.POST else ()
            view = saved_views.save_view(
                by=user,
                name=request.POST.get("name", ""),
                query=_whole_query(asked.query, asked.view),
                sort=asked.sort,
                shown=shown,
                is_shared="is_shared" in request.POST,
            )
            if "is_default" in request.POST:
                saved_views.set_default(user, view)
            return redirect(f"{reverse('guests:list')}?saved={view.pk}")
        except Invalid as problem:
            error = problem
    context = {
        "query": _whole_query(asked.query, asked.view),
        "typed": request.POST,
        "error": error,
        "confirm_title": _("Save this view"),
        "confirm_button": _("Save view"),
        "confirm_harmless": True,
        "confirm_shape": "list",
        "confirm_colour": "mute",
        "confirm_action": request.get_full_path(),
        "cancel_url": f"{reverse('guests:list')}?{request.GET.urlencode()}",
    }
    return render(request, "guests/view_new.html", context, status=422 if error else 200)


@require_GET
def views(request: HttpRequest) -> HttpResponse:
    """All saved views that this user may use."""
    user = actor(request)
    own = saved_views.settings_of(user)
    return render(
        request, "guests/views.html", {"views": saved_views.visible(user), "default": own.default_view, "me": user}
    )


@require_POST
def view_change(request: HttpRequest, pk: int) -> HttpResponse:
    """`do`: rename (with `name`), share, keep (to oneself), start (with it), or delete."""
    user = actor(request)
    view = get_object_or_404(saved_views.visible(user), pk=pk)
    wanted = request.POST.get("do", "")
    if wanted == "rename":
        saved_views.change_view(view, by=user, name=request.POST.get("name", ""))
    elif wanted in ("share", "keep"):
        saved_views.change_view(view, by=user, is_shared=wanted == "share")
    elif wanted == "start":
        own = saved_views.settings_of(user)
        saved_views.set_default(user, None if own.default_view_id == view.pk else view)
    elif wanted == "delete":
        saved_views.delete_view(view, by=user)
    else:
        raise Invalid(_("There is no such thing to do with a view."), field="do")
    return redirect("guests:views")


@require_http_methods(["GET", "POST"])
def list_columns(request: HttpRequest) -> HttpResponse:
    """Which columns the user sees in which order, and how high rows are. `up` moves one column, the rest stays open."""
    user = actor(request)
    own = saved_views.settings_of(user)
    chosen = columns.known(own.columns) or list(columns.USUAL)
    back = f"{reverse('guests:list')}?{request.GET.urlencode()}"
    density = own.density
    if request.method == "POST":
        chosen, density = _chosen(request), request.POST.get("density", own.density)
        if not any(key in request.POST for key in ("up", "down")):
            saved_views.set_columns(user, [] if "usual" in request.POST else chosen)
            saved_views.set_density(user, density)
            return redirect(back)
    context = {
        "columns": [*((columns.CHOICES[name], True) for name in chosen), *_left_out(chosen)],
        "density": density,
        "densities": Density.choices,
        "confirm_title": _("Columns and height of rows"),
        "confirm_button": _("Save changes"),
        "confirm_harmless": True,
        "confirm_shape": "columns",
        "confirm_colour": "mute",
        "confirm_action": request.get_full_path(),
        "cancel_url": back,
    }
    return render(request, "guests/columns.html", context)


def _chosen(request: HttpRequest) -> list[str]:
    """The ticked columns in their order, one of them moved by a place if its arrow was pressed."""
    chosen = columns.known(request.POST.getlist("column"))
    moved, step = (request.POST["up"], -1) if "up" in request.POST else (request.POST.get("down", ""), 1)
    if moved in chosen:
        at = chosen.index(moved)
        chosen.insert(max(0, at + step), chosen.pop(at))
    return chosen


def _left_out(chosen: list[str]) -> list[tuple[columns.Column, bool]]:
    return [(column, False) for name, column in columns.CHOICES.items() if name not in chosen]


def _whole_query(query: str, view: str) -> str:
    """The query that gives the same list without a tab."""
    words = {"running": "state:running", "attention": "state:attention", "restart": "restart:yes"}
    return " ".join(filter(None, (query, words.get(view, ""))))
