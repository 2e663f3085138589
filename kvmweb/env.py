"""Settings from the environment: typed, and a clear sentence when one is missing or makes no sense."""

from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured


class Env(environ.Env):  # type: ignore[misc]
    """`environ.Env` that also reads a secret from the file named by `<NAME>_FILE`."""

    def secret(self, name: str, default_file: Path | None = None) -> str:
        """The value of `name`, or the content of the file in `<name>_FILE`, or of `default_file` when it exists.

        Raises ImproperlyConfigured, saying what to set, when there is none: a secret has no default.
        """
        if value := self.str(name, default=""):
            return str(value)
        file = self.str(f"{name}_FILE", default="")
        path = Path(file) if file else default_file
        if path is not None and path.is_file():
            return path.read_text().strip()
        raise ImproperlyConfigured(
            f"{name} is not set. Set it, or {name}_FILE to a file that holds it; script/server makes one in var/."
        )
