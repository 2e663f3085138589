"""Pages of a host's care: maintenance, the start order, restart and power-off."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.rest import actor
from guests import commands
from guests.autostart import boots
from guests.autostart import services as autostart
from guests.autostart.services import Turn
from guests.leftovers.rows import misfits
from guests.leftovers.services import can_look, command_for, look
from guests.models import Guest, Leftovers
from guests.tasks import HOST_VERBS
from hosts import maintenance
from hosts.models import Host
from virt.errors import Invalid, UserError

from . import services
from .forms import MaintenanceForm, PowerForm, TurnForm

OFFERED = 1000  # guests in the menu that adds one to the order


@require_http_methods(["GET", "POST"])
def enter_maintenance(request: HttpRequest, pk: int) -> HttpResponse:
    """Why, and what becomes of the guests; in it already: another reason."""
    host = _host(request, pk, "administer")
    form = MaintenanceForm(request.POST or None, initial={"reason": host.maintenance_reason})
    if request.method == "POST" and form.is_valid():
        wanted = form.cleaned_data
        try:
            at_once = wanted["at_once"] or services.USUAL_AT_ONCE
            job = services.enter_maintenance(
                host, by=actor(request), reason=wanted["reason"], guests=wanted["guests"], at_once=at_once
            )
            return redirect(job or host)
        except Invalid as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
    context = {"host": host, "form": form, "running": services.running_guests(host)}
    return render(request, "host_care/maintenance.html", context, status=422 if form.errors else 200)


@require_POST
def leave_maintenance(request: HttpRequest, pk: int) -> HttpResponse:
    return redirect(maintenance.leave(_host(request, pk, "administer"), by=actor(request)))


@require_http_methods(["GET", "POST"])
def power(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Restart the machine or power it off, its name typed."""
    host = _host(request, pk, "administer")
    if verb not in HOST_VERBS:
        raise Invalid(_("There is no such way to switch a host."))
    title = str(HOST_VERBS[verb]) % {"host": host.name}
    form = PowerForm(request.POST or None, initial={"guests": services.SHUT_DOWN})
    if request.method == "POST" and form.is_valid():
        if request.POST.get("confirm_name", "") != host.name:
            raise Invalid(
                _("Type the name of the host, %(host)s, to go on.") % {"host": host.name}, field="confirm_name"
            )
        return redirect(services.power_host(host, verb, by=actor(request), guests=form.cleaned_data["guests"]))
    problem = ""
    try:
        services.check_can_power(host, verb)
    except UserError as error:
        problem = str(error)
    context = {
        "host": host,
        "form": form,
        "problem": problem,
        "running": services.running_guests(host),
        "verb": verb,
        "confirm_title": title,
        "confirm_button": title,
        "confirm_name": host.name,
        "cancel_url": host.get_absolute_url(),
        "commands": [
            ("systemd", f"systemctl {verb}"),
            ("REST", commands.rest("POST", f"/hosts/{host.pk}/power", {"verb": verb, "confirm": host.name})),
        ],
    }
    return render(request, "host_care/power.html", context)


@require_http_methods(["GET", "POST"])
def start_order(request: HttpRequest, pk: int) -> HttpResponse:
    """The guests that start with the host, first to last; POST adds one, moves one, or takes one out."""
    host = _host(request, pk, "configure" if request.method == "POST" else "view")
    entries = autostart.order_of(host)
    form = TurnForm(request.POST if "add" in request.POST else None)
    if request.method == "POST":
        turns = [Turn(guest=entry.guest_id, delay_s=entry.delay_s) for entry in entries]
        changed = _changed(request, form, turns)
        if changed is not None:
            autostart.set_order(host, changed, by=actor(request))
            return redirect("host_care:start_order", host.pk)
    there = Guest.objects.filter(host=host, missing_since=None, persistent=True, autostart_entry=None)
    others = there.exclude(state=Guest.State.CREATING).order_by("name").values_list("pk", "name", "autostart")
    context = {
        "host": host,
        "entries": entries,
        "others": others[:OFFERED],
        "form": form,
        "knows_boots": boots.knows_boots(host),
        "can_configure": Host.objects.permitted(actor(request), "configure").filter(pk=pk).exists(),
    }
    return render(request, "host_care/start_order.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def leftovers(request: HttpRequest, pk: int) -> HttpResponse:
    """What does not fit together on the host; POST looks into its directories."""
    host = _host(request, pk, "operate" if request.method == "POST" else "view")
    if request.method == "POST":
        look(host, by=actor(request))
        return redirect("host_care:leftovers", host.pk)
    found = Leftovers.objects.filter(host=host).first()
    may_look = can_look(host) and Host.objects.permitted(actor(request), "operate").filter(pk=pk).exists()
    context = {
        "host": host,
        "misfits": misfits(host, actor(request)),
        "leftovers": found,
        "command": command_for(found) if found else "",
        "can_look": may_look,
        "can_administer_host": Host.objects.permitted(actor(request), "administer").filter(pk=pk).exists(),
    }
    return render(request, "host_care/leftovers.html", context)


def _changed(request: HttpRequest, form: TurnForm, turns: list[Turn]) -> list[Turn] | None:
    """The order as the buttons of the page ask for it. None: what was typed is no guest or no delay."""
    if "add" in request.POST:
        if not form.is_valid():
            return None
        return [*turns, Turn(guest=form.cleaned_data["guest"], delay_s=form.cleaned_data["delay_s"])]
    delays = {turn.guest: request.POST.get(f"delay-{turn.guest}", str(turn.delay_s)) for turn in turns}
    if not all(text.isascii() and text.isdigit() and len(text) < 6 for text in delays.values()):
        raise Invalid(_("A delay is from 0 to %(most)d seconds.") % {"most": autostart.LONGEST_DELAY_S})
    turns = [Turn(guest=guest, delay_s=int(text)) for guest, text in delays.items()]
    if "save" in request.POST:
        return turns
    for verb, step in (("up", -1), ("down", 1), ("remove", 0)):
        text = request.POST.get(verb, "")
        index = next((n for n, turn in enumerate(turns) if str(turn.guest) == text), None)
        if index is None:
            continue
        turn = turns.pop(index)
        return [*turns[: max(0, index + step)], turn, *turns[max(0, index + step) :]] if step else turns
    raise Invalid(_("That guest is not in the order any more. Load the page again."))


def _host(request: HttpRequest, pk: int, action: str) -> Host:
    host: Host = get_object_or_404(Host.objects.permitted(actor(request), action), pk=pk)
    return host
