"""The description of downloads in OpenAPI, which ninja cannot write: they do not pass through Django."""

from typing import Any

from storage.uploads_openapi import PROBLEM, SECURITY

_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def download_paths() -> dict[str, Any]:
    """What OpenAPI's `paths` gets for them."""
    refused = {
        str(status): {"description": words, "content": {"application/json": {"schema": PROBLEM}}}
        for status, words in (
            (401, "Who asks?"),
            (404, "There is no such volume that you may configure."),
            (405, "Only GET and HEAD mean something here."),
            (409, "A running guest writes to it, or its pool is stopped."),
            (502, "libvirt refused."),
            (503, "The host cannot be reached."),
            (504, "The host did not answer in time."),
        )
    }
    number = {"type": "integer", "minimum": 0}
    parameters = [
        {"in": "path", "name": "volume_id", "required": True, "schema": number},
        {"in": "header", "name": "Range", "required": False, "schema": {"type": "string"}},
        {"in": "header", "name": "If-Range", "required": False, "schema": {"type": "string"}},
    ]
    answers = {
        "200": {"description": "All of it, as it lies in the pool: of a qcow2 the file.", "content": _BYTES},
        "206": {"description": "The part that was asked for.", "content": _BYTES},
        "416": {"description": "Nothing of it lies in that range."},
    }
    get = {
        "operationId": "storage_volumes_content",
        "summary": "The bytes of a volume",
        "description": "One range at a time, so that a download goes on where it broke off. The ETag is another one "
        "after the volume was written to.",
        "tags": ["volumes"],
        "parameters": parameters,
        "responses": {**answers, **refused},
        "security": SECURITY,
    }
    return {"/api/v1/volumes/{volume_id}/content": {"get": get}}
