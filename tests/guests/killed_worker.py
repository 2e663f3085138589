"""Run by test_recovery in a process of its own, on a database of its own.

python -m tests.guests.killed_worker work <pool> <directory> <name> <stage>    kills itself with SIGKILL at the stage
python -m tests.guests.killed_worker recover                                   what the next worker does; prints JSON
"""

import json
import os
import signal
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")


def work(pool: str, directory: str, name: str, stage: str) -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from accounts.models import User
    from guests import services
    from guests.plan import NewGuest
    from guests.sheets import refresh_sheets
    from guests.tasks import create_guest
    from hosts.inventory import refresh_facts
    from hosts.models import Host
    from storage.inventory import refresh_pool
    from virt import domains, pools, power, volumes

    host = Host.objects.create(name="local", uri="qemu:///system", state=Host.State.CONNECTED, kvm_works=False)
    with host.connect() as conn:
        refresh_facts(host, conn)
        refresh_sheets(host, conn)
        pools.ensure_dir_pool(conn, pool, directory)
        row = refresh_pool(host, conn, pool)
    assert row
    user = User.objects.create_superuser("admin", password="only for the test")
    wanted = NewGuest(name=name, host=host.pk, vcpus=1, memory_mib=64, disk_gib=1, pool=row.pk, has_network=False)
    job = services.create_guest(services.plan_guest(wanted, by=user), by=user)
    module, function = {
        "volume": (volumes, "create_volume"),
        "define": (domains, "define"),
        "start": (power, "start"),
    }[stage]
    real = getattr(module, function)

    def done_and_dead(*args: object, **kwargs: object) -> None:
        real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, function, done_and_dead)
    create_guest.run_here(job)


def recover() -> None:
    from django.utils import timezone

    import guests.tasks  # noqa: F401 - registers the undo verbs
    import storage.tasks  # noqa: F401
    from guests.models import Guest
    from jobs.models import Job, JobUndo
    from jobs.runner import roll_back_dead_jobs

    before = list(Job.objects.values_list("status", flat=True))
    Job.objects.update(lease_until=timezone.now())  # instead of waiting for it to run out
    roll_back_dead_jobs()
    job = Job.objects.get()
    found = {
        "before": before,
        "status": job.status,
        "error": job.error,
        "guests": Guest.objects.count(),
        "journal": JobUndo.objects.count(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    import django

    django.setup()
    if sys.argv[1] == "work":
        work(*sys.argv[2:6])
    else:
        recover()
