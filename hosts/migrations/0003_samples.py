from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('hosts', '0002_prepared_and_checked'),
    ]

    operations = [
        migrations.AddField(
            model_name='host',
            name='cpu_recent',
            field=models.BinaryField(default=b''),
        ),
        migrations.AddField(
            model_name='host',
            name='load',
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name='host',
            name='pressure_cpu_percent',
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name='host',
            name='pressure_io_percent',
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name='host',
            name='pressure_memory_percent',
            field=models.FloatField(null=True),
        ),
    ]
