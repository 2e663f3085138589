import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('hosts', '0003_samples'),
    ]

    operations = [
        migrations.CreateModel(
            name='HostReport',
            fields=[
                ('host', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='report', serialize=False, to='hosts.host')),
                ('details', models.JSONField(default=dict)),
                ('details_at', models.DateTimeField(null=True)),
                ('devices_at', models.DateTimeField(null=True)),
                ('readings', models.JSONField(default=dict)),
                ('readings_at', models.DateTimeField(null=True)),
                ('readings_error', models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name='HostDevice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=255)),
                ('kind', models.CharField(choices=[('pci', 'PCI'), ('usb', 'USB'), ('net', 'Interfaces'), ('disk', 'Disks'), ('mdev', 'Mediated devices')], max_length=8)),
                ('address', models.CharField(max_length=255)),
                ('parent', models.CharField(blank=True, max_length=255)),
                ('vendor', models.CharField(blank=True, max_length=255)),
                ('vendor_id', models.CharField(blank=True, max_length=16)),
                ('product', models.CharField(blank=True, max_length=255)),
                ('product_id', models.CharField(blank=True, max_length=16)),
                ('driver', models.CharField(blank=True, max_length=64)),
                ('iommu_group', models.PositiveIntegerField(null=True)),
                ('numa_node', models.PositiveIntegerField(null=True)),
                ('details', models.JSONField(default=dict)),
                ('words', models.TextField(blank=True)),
                ('host', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='devices', to='hosts.host')),
            ],
            options={
                'ordering': ['kind', 'address', 'name'],
                'indexes': [models.Index(fields=['host', 'kind', 'address'], name='host_device_listed')],
                'constraints': [models.UniqueConstraint(fields=('host', 'name'), name='host_device_once')],
            },
        ),
    ]
