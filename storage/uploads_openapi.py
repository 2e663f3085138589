"""How the tus endpoints stand in the OpenAPI document."""

from typing import Any


def upload_paths() -> dict[str, Any]:
    """OpenAPI path items of /api/v1/uploads."""
    return {}
