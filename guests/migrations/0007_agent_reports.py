import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("guests", "0006_samples"),
    ]

    operations = [
        migrations.CreateModel(
            name="AgentReport",
            fields=[
                (
                    "guest",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="agent",
                        serialize=False,
                        to="guests.guest",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("answers", "Answers"), ("absent", "Not running"), ("silent", "Does not answer")],
                        max_length=16,
                    ),
                ),
                ("state_since", models.DateTimeField(default=django.utils.timezone.now)),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
                ("hostname", models.CharField(blank=True, max_length=255)),
                ("os_id", models.CharField(blank=True, max_length=255)),
                ("os_name", models.CharField(blank=True, max_length=255)),
                ("os_version", models.CharField(blank=True, max_length=255)),
                ("kernel", models.CharField(blank=True, max_length=255)),
                ("timezone", models.CharField(blank=True, max_length=255)),
                ("utc_offset_s", models.IntegerField(blank=True, null=True)),
                ("users", models.JSONField(default=list)),
                ("filesystems", models.JSONField(default=list)),
                ("interfaces", models.JSONField(default=list)),
            ],
        ),
    ]
