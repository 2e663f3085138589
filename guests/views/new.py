"""The wizard: one page whose defaults and preview follow what is typed, and the page that follows the creation."""

import json
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import User
from accounts.permissions import NotAllowed
from accounts.rest import actor
from guests import commands, imported, services, sheets, systems, wizard
from guests.models import Guest
from guests.network_choices import networks_of
from guests.new_form import NewGuestForm
from guests.plan import FIRMWARES
from hosts.maintenance import require_open
from hosts.models import Host
from jobs.models import Job
from storage.trees.pages import origin
from virt.errors import UserError

JUST_NOW = timedelta(seconds=15)
FIRMWARE_LABELS = (("bios", "BIOS"), ("uefi", "UEFI"), ("uefi-secure", gettext_lazy("UEFI, Secure Boot")))


@require_http_methods(["GET", "POST"])
def guest_new(request: HttpRequest) -> HttpResponse:
    user = actor(request)
    if not Host.objects.permitted(user, "create").exists() and Host.objects.exists():
        raise NotAllowed(_("You may not create guests. It needs the role operator on a host."))
    if request.method == "GET":
        values = _initial(request)
        form = _form(user, values, bound=False)
        return render(request, "guests/new.html", _page(user, form, values, _preview(user, values)))
    if "refresh" in request.POST:  # a browser without script asks for the defaults of what it chose
        values, suggested, _changed = wizard.follow(user, request.POST)
        values["suggested"] = json.dumps(suggested)
        return render(
            request,
            "guests/new.html",
            _page(user, _form(user, values, bound=False), values, _preview(user, values)),
        )
    values = {name: str(request.POST.get(name, "")) for name in request.POST}
    form = _form(user, values, bound=True)
    if form.is_valid() and form.is_typed_twice():
        try:
            plan = services.plan_guest(form.wanted(), by=user)
            job = services.create_guest(plan, by=user, start=plan.wanted.start, **form.secret())
            return redirect("guests:creating", job.pk)
        except UserError as error:
            form.add_problem(error)
    return render(request, "guests/new.html", _page(user, form, values, _preview(user, values)), status=422)


@require_POST
def guest_preview(request: HttpRequest) -> HttpResponse:
    """The right column for what is typed now, and the fields whose defaults changed with it."""
    user = actor(request)
    values, suggested, changed = wizard.follow(user, request.POST)
    values["suggested"] = json.dumps(suggested)
    form = _form(user, values, bound=False)
    context = _page(user, form, values, _preview(user, values))
    return render(request, "guests/_preview.html", {**context, "changed": changed})


@require_GET
def guest_creating(request: HttpRequest, pk: int) -> HttpResponse:
    """Follow a creation: on to the console or the guest's page when it is done, and back to the form when it failed."""
    jobs = Job.objects.permitted(actor(request), "view").filter(kind="create_guest")
    job = get_object_or_404(jobs.select_related("created_by"), pk=pk)
    guest = Guest.objects.permitted(actor(request), "view").filter(pk=job.arguments["guest_id"]).first()
    then = ""
    if guest:
        then = reverse("consoles:console", args=[guest.pk]) if job.arguments["start"] else guest.get_absolute_url()
    if then and job.status == Job.Status.SUCCEEDED and job.finished_at and timezone.now() - job.finished_at < JUST_NOW:
        return redirect(then)
    context = {"job": job, "guest": guest, "then": then, "name": job.arguments["name"]}
    return render(request, "guests/creating.html", context)


def _initial(request: HttpRequest) -> dict[str, str]:
    """The values of the empty form: what the address asks for, and what suits it."""
    user = actor(request)
    values = {name: request.GET[name] for name in ("iso", "host", "volume", "tree") if request.GET.get(name)}
    values["source"] = next((source for source in ("volume", "tree") if source in values), "iso")
    values |= imported.initial_of(user, request.GET.get("import", ""))
    values["tree_base"] = origin(request)
    again = request.GET.get("again", "")
    if again.isascii() and again.isdigit() and len(again) < 19:
        jobs = Job.objects.permitted(user, "view").filter(kind="create_guest", pk=int(again))
        for job in jobs:
            values |= wizard.initial_of(job.arguments["wanted"])
    host = wizard.chosen_host(user, values)
    if host:
        values.setdefault("host", str(host.pk))
    values["os"] = values.get("os") or wizard.suggestions(user, host, values).get("os", "")
    suggested = wizard.suggestions(user, host, values)
    return {"start": "on", "keep_passphrase": "on", **suggested, **values, "suggested": json.dumps(suggested)}


def _form(user: User, values: dict[str, str], *, bound: bool) -> NewGuestForm:
    host = wizard.chosen_host(user, values)
    if bound:
        return NewGuestForm(values, user=user, host=host)
    return NewGuestForm(initial=values, user=user, host=host)


def _preview(user: User, values: dict[str, str]) -> dict[str, Any]:
    """The plan of what is typed, or the sentence that says why there is none."""
    host = wizard.chosen_host(user, values)
    try:
        if host:
            require_open(host)
    except UserError as error:  # before anything that is missing yet: it would be typed in vain
        return {"plan": None, "problem": str(error)}
    form = _form(user, values, bound=True)
    if not form.is_valid():
        first = next(iter(form.errors.items()))
        label = form.fields[first[0]].label if first[0] in form.fields else ""
        return {"plan": None, "problem": f"{label}: {first[1][0]}" if label else first[1][0]}
    try:
        plan = services.plan_guest(form.wanted(), by=user)
    except UserError as error:
        return {"plan": None, "problem": str(error)}
    return {
        "plan": plan,
        "problem": "",
        "virt_install": commands.virt_install(plan),
        "rest": commands.rest("POST", "/guests", commands.rest_body(plan.wanted)),
    }


def _page(user: User, form: NewGuestForm, values: dict[str, str], preview: dict[str, Any]) -> dict[str, Any]:
    host = wizard.chosen_host(user, values)
    try:
        firmwares = sheets.sheet_for(host).firmwares if host else FIRMWARES
    except UserError:
        firmwares = FIRMWARES
    return {
        "form": form,
        "values": values,
        "host": host,
        "systems": systems.groups(),
        "networks": networks_of(user, host),
        "firmwares": [(name, label) for name, label in FIRMWARE_LABELS if name in firmwares],
        **preview,
    }
