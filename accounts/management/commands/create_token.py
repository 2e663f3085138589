"""`manage.py create_token --user admin --name ci`: print an API token."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from accounts.models import ApiToken, User


class Command(BaseCommand):
    help = "Make an API token and print its secret, which is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, help="whose rights it carries")
        parser.add_argument("--name", required=True, help="what to know it by")
        parser.add_argument("--scope", default=ApiToken.Scope.ADMINISTER, choices=ApiToken.Scope.values)
        parser.add_argument("--days", type=int, help="days until it expires; without: never")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']}.")
        lifetime = timedelta(days=options["days"]) if options["days"] else None
        token, secret = ApiToken.issue(user, options["name"][:100], options["scope"], lifetime)
        audit.record(None, "create_token", kind="token", object_id=token.pk, name=token.name, detail=token.scope)
        self.stdout.write(secret)
