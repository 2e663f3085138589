"""Pages of the user's own settings, API tokens, users and the audit log."""

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from virt.errors import Invalid

from . import services
from .forms import TokenForm, UserForm
from .models import AuditEntry, Grant, User
from .permissions import require
from .rest import actor


@require_GET
def me(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/me.html", {"themes": User.Theme.choices, "languages": settings.LANGUAGES})


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    wanted = request.POST.get("theme", "")
    if wanted in User.Theme.values:
        User.objects.filter(pk=actor(request).pk).update(theme=wanted)
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
    return redirect(back if safe else "accounts:me")


@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    user, secret = actor(request), ""
    form = TokenForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            _token, secret = services.issue_token(by=user, name=data["name"], scope=data["scope"], days=data["days"])
            form = TokenForm()
        except Invalid as error:
            form.add_error(error.field, str(error))
    context = {"form": form, "tokens": user.tokens.all(), "secret": secret}
    return render(request, "accounts/tokens.html", context, status=422 if form.errors else 200)


@require_POST
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    services.revoke_token(get_object_or_404(actor(request).tokens, pk=pk), by=actor(request))
    messages.success(request, _("The token is worthless now."))
    return redirect("accounts:tokens")


@require_http_methods(["GET", "POST"])
def users(request: HttpRequest) -> HttpResponse:
    require(actor(request), "administer")
    form = UserForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = services.create_user(by=actor(request), **form.cleaned_data)
        except Invalid as error:
            form.add_error(error.field, str(error))
        else:
            messages.success(request, _("%(name)s can log in now.") % {"name": user.username})
            return redirect("accounts:users")
    context = {"form": form, "users": User.objects.prefetch_related("grants"), "roles": Grant.Role.choices}
    return render(request, "accounts/users.html", context, status=422 if form.errors else 200)


@require_POST
def user_change(request: HttpRequest, pk: int) -> HttpResponse:
    """Set the role of a user (`role`), or whether they may log in (`active` = 0 or 1)."""
    user = get_object_or_404(User, pk=pk)
    if role := request.POST.get("role"):
        services.set_role(user, role, by=actor(request))
    if active := request.POST.get("active"):
        services.set_active(user, active == "1", by=actor(request))
    return redirect("accounts:users")


@require_GET
def audit_log(request: HttpRequest) -> HttpResponse:
    require(actor(request), "administer")
    entries, search = AuditEntry.objects.all(), request.GET.get("search", "").strip()
    for word in search.split():
        entries = (
            entries.filter(object_name__icontains=word)
            | entries.filter(actor__icontains=word)
            | entries.filter(action__icontains=word)
        )
    page = Paginator(entries, 50).get_page(request.GET.get("page"))
    return render(request, "accounts/audit.html", {"page": page, "search": search})
