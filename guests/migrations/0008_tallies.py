from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('guests', '0007_agent_reports'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='guest',
            index=models.Index(fields=['state', 'trouble', 'needs_restart'], name='guest_tallies'),
        ),
    ]
