"""Pages of jobs: all of them, one of them, and the tray that is on every page."""

from datetime import timedelta

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.rest import actor

from .models import Job
from .services import cancel_job

TRAY_FINISHED = 8


@require_GET
def job_list(request: HttpRequest) -> HttpResponse:
    jobs = Job.objects.permitted(actor(request), "view").filter(parent=None).select_related("created_by")
    status, search = request.GET.get("status", ""), request.GET.get("search", "").strip()
    if status in Job.Status.values:
        jobs = jobs.filter(status=status)
    if search:
        jobs = jobs.filter(title__icontains=search)
    page = Paginator(jobs, 50).get_page(request.GET.get("page"))
    context = {"page": page, "status": status, "search": search, "statuses": Job.Status.choices}
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
    jobs = Job.objects.permitted(actor(request), "view").filter(parent=None).select_related("created_by")
    finished = jobs.exclude(status__in=Job.ACTIVE).filter(finished_at__gte=timezone.now() - timedelta(days=1))
    context = {"jobs_active": jobs.active()[:20], "jobs_finished": finished.order_by("-finished_at")[:TRAY_FINISHED]}
    return render(request, "jobs/_tray.html", context)


@require_POST
def job_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    job = get_object_or_404(Job.objects.permitted(actor(request), "operate"), pk=pk)
    cancel_job(job, by=actor(request))
    if request.headers.get("HX-Request"):
        return job_tray(request) if request.headers.get("HX-Target") == "job-tray" else HttpResponse(status=204)
    return redirect(job)
