from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('guests', '0005_definitions_and_autostart'),
    ]

    operations = [
        migrations.AddField(
            model_name='guest',
            name='cpu_recent',
            field=models.BinaryField(default=b''),
        ),
        migrations.AddField(
            model_name='guest',
            name='cpu_wait_percent',
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name='guest',
            name='disk_read_bytes_per_s',
            field=models.PositiveBigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='guest',
            name='disk_write_bytes_per_s',
            field=models.PositiveBigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='guest',
            name='net_rx_bytes_per_s',
            field=models.PositiveBigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='guest',
            name='net_tx_bytes_per_s',
            field=models.PositiveBigIntegerField(null=True),
        ),
    ]
