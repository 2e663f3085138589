"""Pages of jobs: all of them, one of them, and the tray that is on every page."""

from datetime import timedelta

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.rest import actor

from .models import Job
from .services import cancel_job, retry_job

TRAY_ACTIVE, TRAY_FINISHED = 20, 8


@require_GET
def job_list(request: HttpRequest) -> HttpResponse:
    jobs = Job.objects.permitted(actor(request), "view").filter(parent=None).select_related("created_by")
    status, search = request.GET.get("status", ""), request.GET.get("search", "").strip()
    if status in Job.Status.values:
        jobs = jobs.filter(status=status)
    if search:
        jobs = jobs.filter(title__icontains=search)
    mine = request.GET.get("mine") == "1"
    if mine:
        jobs = jobs.filter(created_by=actor(request))
    page = Paginator(jobs, 50).get_page(request.GET.get("page"))
    context = {"page": page, "status": status, "search": search, "mine": mine, "statuses": Job.Status.choices}
    template = "jobs/_list.html" if request.headers.get("HX-Request") else "jobs/list.html"
    return render(request, template, context)


@require_GET
def job_detail(request: HttpRequest, pk: int) -> HttpResponse:
    job = get_object_or_404(Job.objects.permitted(actor(request), "view").select_related("created_by"), pk=pk)
    context = {
        "job": job,
        "can_cancel": job.is_active and Job.objects.permitted(actor(request), "operate").filter(pk=pk).exists(),
    }
    if request.headers.get("HX-Request"):
        template = "_job_inline.html" if request.GET.get("fragment") == "inline" else "jobs/_detail.html"
        return render(request, template, context)
    return render(request, "jobs/detail.html", context)


@require_GET
def job_tray(request: HttpRequest) -> HttpResponse:
    """The jobs of this user that go on or ended lately; with `whose` = all those of others too, from then on."""
    if request.GET.get("whose") in ("all", "mine"):
        request.session["tray"] = request.GET["whose"]
    return _tray(request)


def _tray(request: HttpRequest) -> HttpResponse:
    permitted = Job.objects.permitted(actor(request), "view")
    of_all = request.session.get("tray") == "all"
    jobs = permitted.filter(parent=None).select_related("created_by")
    if not of_all:
        jobs = jobs.filter(created_by=actor(request))
    finished = jobs.exclude(status__in=Job.ACTIVE).filter(finished_at__gte=timezone.now() - timedelta(days=1))
    context = {
        "jobs_active": jobs.active()[:TRAY_ACTIVE],
        "jobs_finished": finished.order_by("-finished_at")[:TRAY_FINISHED],
        "active_count": permitted.active().count(),
        "of_all": of_all,
    }
    return render(request, "jobs/_tray.html", context)


@require_POST
def job_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    job = get_object_or_404(Job.objects.permitted(actor(request), "operate"), pk=pk)
    cancel_job(job, by=actor(request))
    if request.headers.get("HX-Request"):
        return _tray(request) if request.headers.get("HX-Target") == "job-tray" else HttpResponse(status=204)
    return redirect(job)


@require_POST
def job_retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Start the same once more, as a new job."""
    job = get_object_or_404(Job.objects.permitted(actor(request), "operate"), pk=pk)
    again = retry_job(job, by=actor(request))
    return _tray(request) if request.headers.get("HX-Target") == "job-tray" else redirect(again)
