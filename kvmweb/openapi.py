"""The OpenAPI document: ninja's, plus the uploads, which do not pass through Django."""

from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from storage.uploads_openapi import upload_paths


class DocumentedAPI(NinjaAPI):
    """A NinjaAPI whose schema also describes the tus endpoints beside it."""

    def get_openapi_schema(self, *args: Any, **kwargs: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(*args, **kwargs)
        schema["paths"].update(upload_paths())
        return schema
