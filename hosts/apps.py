from django.apps import AppConfig


class HostsConfig(AppConfig):
    name = "hosts"

    def ready(self) -> None:
        from jobs import live

        from .models import Host

        live.register("host", Host)
