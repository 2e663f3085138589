"""The job that publishes an image: it looks whether there is something to publish."""

import os
from typing import Any

from django.utils.translation import gettext as _

from jobs.live import publish
from jobs.tasks import RunningJob, job_task
from storage.models import Iso, Tree
from virt.install_tree import examine

from .source import open_files


@job_task(soft_time_limit=600)
def publish_tree(job: RunningJob, *, iso_id: int, networks: list[str]) -> dict[str, Any]:
    """Look for kernel, initrd and packages, then publish. Raises NotSupported for what has no readable files."""
    iso = Iso.objects.select_related("volume__pool__host").get(pk=iso_id)
    job.step(_("Looking through the files of %(name)s") % {"name": iso.name})
    fd, files = open_files(iso.volume)
    try:
        facts = examine(files)
    finally:
        os.close(fd)
    Tree.objects.update_or_create(
        iso=iso, defaults={"networks": networks, "facts": facts.as_json(), "published_by": job.row.created_by}
    )
    publish(f"iso-{iso.pk}", "isos")
    if facts.kernel:
        job.log(_("It boots over the network with %(kernel)s.") % {"kernel": facts.kernel})
    else:
        job.log(_("No kernel was found on it, so nothing boots from it over the network. Its files can be read."))
    return {"iso_id": iso.pk, "path": f"/tree/{iso.pk}/", **facts.as_json()}
