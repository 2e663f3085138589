from django.apps import AppConfig


class StorageConfig(AppConfig):
    name = "storage"

    def ready(self) -> None:
        from jobs import live

        from .models import Iso, Pool, Volume

        live.register("pool", Pool)
        live.register("volume", Volume)
        live.register("iso", Iso)
