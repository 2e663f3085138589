"""How static files are stored: names carry a hash, so that browsers may keep them for ever."""

from servestatic.storage import CompressedManifestStaticFilesStorage


class ManifestStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Also rewrites the imports of JavaScript modules, so that a module and what it imports change together."""

    support_js_module_import_aggregation = True
