"""The OpenAPI document: ninja's, plus uploads and downloads, which do not pass through Django."""

from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from storage.downloads.openapi import download_paths
from storage.uploads_openapi import upload_paths


class DocumentedAPI(NinjaAPI):
    """A NinjaAPI whose schema also describes the endpoints beside it."""

    def get_openapi_schema(self, *args: Any, **kwargs: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(*args, **kwargs)
        schema["paths"].update(upload_paths())
        schema["paths"].update(download_paths())
        return schema
