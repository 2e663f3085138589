"""How the tus endpoints stand in the OpenAPI document."""

from http import HTTPStatus
from typing import Any

Schema = dict[str, Any]
PROBLEM: Schema = {"$ref": "#/components/schemas/Problem"}
SECURITY: list[dict[str, list[str]]] = [{"TokenAuth": []}, {"PageAuth": []}]
UPLOAD: Schema = {
    "title": "UploadOut",
    "description": "A file on its way into a pool.",
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "name": {"type": "string"},
        "size_bytes": {"type": "integer"},
        "offset": {"type": "integer", "description": "How many bytes have arrived."},
        "state": {"type": "string", "enum": ["receiving", "finishing", "done", "failed", "cancelled"]},
        "error": {"type": "string", "description": "What failed, why, and what to do."},
        "job_id": {"type": ["integer", "null"], "description": "The job that checks the file, once it is done."},
        "iso_id": {"type": ["integer", "null"], "description": "The image that it became, once it is done."},
        "pool": {
            "type": "object",
            "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "host": {"type": "string"}},
            "required": ["id", "name", "host"],
        },
        "fingerprint": {"type": "string"},
        "created_at": {"type": "string", "format": "date-time"},
    },
    "required": ["id", "name", "size_bytes", "offset", "state", "error", "job_id", "iso_id", "pool", "created_at"],
}
LIST: Schema = {
    "title": "PagedUploadOut",
    "type": "object",
    "properties": {"items": {"type": "array", "items": UPLOAD}, "count": {"type": "integer"}},
    "required": ["items", "count"],
}
BODY: Schema = {
    "content": {"application/offset+octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


def upload_paths() -> dict[str, Any]:
    """OpenAPI path items of /api/v1/uploads."""
    return {"/api/v1/uploads": _collection(), "/api/v1/uploads/{upload_id}": _one()}


def _collection() -> Schema:
    whole = {"type": "integer", "minimum": 0}
    paging = [
        _parameter("query", "state", {"type": "string"}, "One or more states, with commas between."),
        _parameter("query", "limit", whole),
        _parameter("query", "offset", whole),
    ]
    creation = [
        _parameter("header", "Upload-Length", whole, "The size of the file in bytes.", required=True),
        _parameter(
            "header",
            "Upload-Metadata",
            {"type": "string", "maxLength": 8192},
            "Pairs of a key and base64, with commas between: filename; may have pool (an id; else the local pool iso), "
            "sha256 (in hexadecimal; compared when the file is there), fingerprint (asking again with the same one, "
            "before anything was sent, gives the same upload).",
            required=True,
        ),
    ]
    made = _answer("Created; with a body, its bytes are stored.", "Location", "Upload-Offset", "Upload-Expires")
    return {
        "options": _operation("options", "What this tus server can do", {"204": _abilities()}, [], security=[]),
        "get": _operation("list", "Your own uploads, newest first", {"200": _json(LIST)}, paging),
        "post": {
            **_operation("create", "Announce a file (tus 1.0.0)", {"201": made}, [_tus(), *creation, _checksum()]),
            "requestBody": BODY,
        },
    }


def _one() -> Schema:
    offset = _parameter(
        "header", "Upload-Offset", {"type": "integer", "minimum": 0}, "Where this piece begins.", required=True
    )
    progress = _answer("How far it is.", "Upload-Offset", "Upload-Length", "Upload-Metadata", "Upload-Expires")
    stored = {"204": _answer("Stored.", "Upload-Offset", "Upload-Expires")}
    pieces = [_tus(), offset, _checksum()]
    upload_id = _parameter("path", "upload_id", {"type": "string", "format": "uuid"}, required=True)
    return {
        "parameters": [upload_id],
        "options": _operation("options_one", "What this tus server can do", {"204": _abilities()}, [], security=[]),
        "get": _operation("get", "One upload as JSON", {"200": _json(UPLOAD)}, []),
        "head": _operation("offset", "How much has arrived", {"200": progress}, [_tus()]),
        "patch": {**_operation("send", "Send a piece of the file", stored, pieces), "requestBody": BODY},
        "delete": _operation("cancel", "Cancel, and remove what arrived", {"204": _answer("Removed.")}, [_tus()]),
    }


def _operation(
    name: str, summary: str, answers: Schema, parameters: list[Schema], *, security: list[Any] = SECURITY
) -> Schema:
    problems = (400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 415, 422, 423, 460, 500, 501, 502, 503, 507)
    refused = {str(status): _json(PROBLEM, _words(status)) for status in problems}
    return {
        "operationId": f"storage_uploads_{name}",
        "summary": summary,
        "description": "By the tus protocol 1.0.0: https://tus.io/protocols/resumable-upload",
        "tags": ["uploads"],
        "parameters": parameters,
        "responses": {**answers, **refused},
        "security": security,
    }


def _words(status: int) -> str:
    return "Checksum mismatch" if status == 460 else HTTPStatus(status).phrase


def _parameter(place: str, name: str, schema: Schema, description: str = "", *, required: bool = False) -> Schema:
    return {"in": place, "name": name, "required": required, "schema": schema, "description": description}


def _tus() -> Schema:
    return _parameter("header", "Tus-Resumable", {"type": "string", "enum": ["1.0.0"]}, required=True)


def _checksum() -> Schema:
    words = "“sha256 <base64>” or “sha1 <base64>” of this body."
    return _parameter("header", "Upload-Checksum", {"type": "string"}, words)


def _json(schema: Schema, description: str = "OK") -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _answer(description: str, *headers: str) -> Schema:
    return {"description": description, "headers": {name: {"schema": {"type": "string"}} for name in headers}}


def _abilities() -> Schema:
    return _answer("In the headers.", "Tus-Version", "Tus-Extension", "Tus-Checksum-Algorithm", "Tus-Max-Size")
