"""Pages that make, change and delete pools."""

import difflib
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.rest import actor
from jobs.models import Job
from virt.errors import Invalid, UserError
from virt.pool_types import DISCOVERABLE
from virt.pool_xml import FIELDS, check_edited, stable_xml

from . import pooling
from .models import Pool
from .pool_forms import LookForm, PoolForm, WarningForm, XmlForm, hosts_to_administer, secret_choices, type_choices
from .rules import DELETING_POOLS
from .shell import virsh


@require_http_methods(["GET", "POST"])
def pool_new(request: HttpRequest) -> HttpResponse:
    """A form for the type in ?type=, on the host with the id in ?on_host=; ?job= is a look whose finds fill it in."""
    user = actor(request)
    hosts = hosts_to_administer(user)
    if not hosts:
        raise Http404
    host = next((each for each in hosts if str(each.pk) == request.GET.get("on_host")), hosts[0])
    kinds = pooling.kinds_of(host)
    kind = next((each for each in kinds if each["type"] == request.GET.get("type")), kinds[0])
    names = (*FIELDS[kind["type"]][0], *FIELDS[kind["type"]][1], "name")
    given = {name: request.GET[name] for name in names if name in request.GET}
    logins = secret_choices(host, kind["type"])
    form = PoolForm(request.POST or None, kind=kind, initial=given, secrets=logins)
    if request.method == "POST" and form.is_valid():
        try:
            job = pooling.create_pool(host, form.spec(), by=user, **form.options())
        except UserError as error:
            form.refuse(error)
        else:
            return redirect(job)
    here = f"{reverse('storage:pool_new')}?{urlencode({'on_host': host.pk, 'type': kind['type']})}"
    context = {
        "form": form,
        "host": host,
        "hosts": hosts,
        "type": kind["type"],
        "types": type_choices(kinds),
        "fields": [form[name] for name in form.fields if name != "autostart"],
        "here": here,
        "look": LookForm() if kind["type"] in DISCOVERABLE else None,
        "look_wants_server": kind["type"] in ("netfs", "iscsi", "iscsi-direct"),
        **_finds(request, here),
    }
    return render(request, "storage/pool_new.html", context, status=422 if form.errors else 200)


@require_POST
def pool_look(request: HttpRequest) -> HttpResponse:
    """Start a look for sources and go back to the form, which follows it."""
    user = actor(request)
    host = next((each for each in hosts_to_administer(user) if str(each.pk) == request.POST.get("host")), None)
    if host is None:
        raise Http404
    kind = request.POST.get("type", "")
    where = {name: request.POST.get(name, "").strip() for name in ("server", "initiator")}
    job = pooling.find_sources(host, kind, by=user, **where)
    return redirect(f"{reverse('storage:pool_new')}?{urlencode({'on_host': host.pk, 'type': kind, 'job': job.pk})}")


def _finds(request: HttpRequest, here: str) -> dict[str, Any]:
    number = request.GET.get("job", "")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        return {}
    jobs = Job.objects.permitted(actor(request), "view").filter(pk=int(number), kind="find_sources")
    job = jobs.first()
    if job is None or job.is_active:
        return {"job": job, "then": f"{here}&job={number}"}
    found = [
        (each["label"], f"{here}&{urlencode({key: value for key, value in each.items() if value and key != 'label'})}")
        for each in job.result.get("sources", [])
    ]
    return {"looked": True, "found": found, "look_error": job.error, "look_details": job.error_details}


@require_GET
def pool_xml(request: HttpRequest, pk: int) -> HttpResponse:
    """The definition, and for administrators the way to change it."""
    pool = _pool(request, pk, "view")
    return render(request, "storage/pool_xml.html", {"pool": pool, "can_edit": _may_administer(request, pk)})


@require_http_methods(["GET", "POST"])
def pool_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Edit the definition: first the difference is shown, then it is applied."""
    pool = _pool(request, pk, "administer")
    form = XmlForm(request.POST or None, pool=pool)
    context: dict[str, Any] = {"pool": pool, "form": form}
    if request.method == "POST" and form.is_valid():
        try:
            xml = check_edited(form.cleaned_data["xml"], name=pool.name, uuid=str(pool.uuid))
            if "apply" in request.POST:
                pooling.edit_xml(pool, xml, by=actor(request))
                return redirect(pool)
            context["diff"] = _diff(pool.xml, xml)
        except UserError as error:
            form.refuse(error)
            context["details"] = error.details
    return render(request, "storage/pool_edit.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def pool_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """With or without what is in it; its name is typed."""
    pool = _pool(request, pk, "administer")
    if pool.missing_since is None:
        pooling.check_nobody_needs(pool)
    if request.method == "POST":
        if pool.missing_since is None and request.POST.get("confirm_name") != pool.name:
            raise Invalid(_("The name that was typed is not the pool's. Nothing was deleted."), field="confirm_name")
        pooling.delete_pool(pool, by=actor(request), data="volumes" if request.POST.get("volumes") else "nothing")
        return redirect("storage:pools")
    context = {
        "pool": pool,
        "volume_count": pool.volumes.filter(missing_since=None).count() if pool.type in DELETING_POOLS else 0,
        "confirm_title": _("Delete the pool %(name)s") % {"name": pool.name},
        "confirm_button": _("Delete %(name)s") % {"name": pool.name},
        "confirm_name": "" if pool.missing_since else pool.name,
        "cancel_url": pool.get_absolute_url(),
        "commands": [
            virsh("pool-destroy", pool.name),
            virsh("pool-undefine", pool.name),
            ("REST", f"DELETE /api/v1/pools/{pool.pk}?data=nothing"),
        ],
    }
    return render(request, "storage/pool_delete.html", context)


@require_http_methods(["GET", "POST"])
def pool_warning(request: HttpRequest, pk: int) -> HttpResponse:
    """From which share on people are told that the pool is filling up."""
    pool = _pool(request, pk, "configure")
    form = WarningForm(request.POST or None, pool=pool)
    if request.method == "POST" and form.is_valid():
        pooling.set_warning(pool, form.cleaned_data["warn_percent"], by=actor(request))
        return redirect(pool)
    return render(
        request, "storage/pool_warning.html", {"pool": pool, "form": form}, status=422 if form.errors else 200
    )


@require_POST
def pool_let_in(request: HttpRequest, pk: int) -> HttpResponse:
    """Let QEMU enter the directories on the way to the pool."""
    pool = _pool(request, pk, "administer")
    pooling.let_qemu_in(pool, by=actor(request))
    return redirect(pool)


def _pool(request: HttpRequest, pk: int, action: str) -> Pool:
    found: Pool = get_object_or_404(Pool.objects.permitted(actor(request), action).select_related("host"), pk=pk)
    return found


def _may_administer(request: HttpRequest, pk: int) -> bool:
    return bool(Pool.objects.permitted(actor(request), "administer").filter(pk=pk).exists())


def _diff(before: str, after: str) -> list[tuple[str, str]]:
    """Lines with their class: add, del or ctx. Both are laid out the same way first."""
    lines = difflib.ndiff(stable_xml(before).splitlines(), after.splitlines())
    kinds = {"+": "add", "-": "del", " ": "ctx"}
    found = [(kinds[line[0]], line[2:]) for line in lines if line[0] in kinds]
    return found if any(kind != "ctx" for kind, _line in found) else []
