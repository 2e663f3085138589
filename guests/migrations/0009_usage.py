import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('guests', '0008_tallies'),
    ]

    operations = [
        migrations.CreateModel(
            name='Usage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('period', models.CharField(choices=[('day', 'Day'), ('week', 'Week'), ('fortnight', 'Two weeks')], max_length=16)),
                ('measured_at', models.DateTimeField()),
                ('known_hours', models.FloatField(default=0.0)),
                ('since', models.DateTimeField(null=True)),
                ('busy_vcpus', models.FloatField(null=True)),
                ('held_bytes', models.PositiveBigIntegerField(null=True)),
                ('disk_bytes_per_s', models.PositiveBigIntegerField(null=True)),
                ('net_bytes_per_s', models.PositiveBigIntegerField(null=True)),
                ('cpu_percent', models.FloatField(null=True)),
                ('cpu_p95_percent', models.FloatField(null=True)),
                ('cpu_peak_p95_percent', models.FloatField(null=True)),
                ('cpu_peak_percent', models.FloatField(null=True)),
                ('cpu_wait_p95_percent', models.FloatField(null=True)),
                ('used_p95_bytes', models.PositiveBigIntegerField(null=True)),
                ('used_peak_p95_bytes', models.PositiveBigIntegerField(null=True)),
                ('used_peak_bytes', models.PositiveBigIntegerField(null=True)),
                ('vcpus_advised', models.PositiveIntegerField(null=True)),
                ('memory_advised_mib', models.PositiveBigIntegerField(null=True)),
                ('is_idle', models.BooleanField(default=False)),
                ('is_crowded', models.BooleanField(default=False)),
                ('guest', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='usage', to='guests.guest')),
            ],
            options={
                'indexes': [models.Index(fields=['period', 'guest'], name='guests_usag_period_8274a6_idx')],
                'constraints': [models.UniqueConstraint(fields=('guest', 'period'), name='usage_once_per_period')],
            },
        ),
    ]
