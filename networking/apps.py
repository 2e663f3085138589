from django.apps import AppConfig


class NetworkingConfig(AppConfig):
    name = "networking"

    def ready(self) -> None:
        from jobs import live

        from .models import Bridge, Network

        live.register("network", Network)
        live.register("bridge", Bridge)
