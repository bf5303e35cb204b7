"""Rules of retention, the archive, and starts that outlive their sagas."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sagas', '0003_lanes'),
    ]

    operations = [
        migrations.CreateModel(
            name='ArchivedSaga',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('business_key', models.CharField(max_length=200)),
                ('status', models.CharField(choices=[('completed', 'completed'), ('compensated', 'compensated'), ('abandoned', 'abandoned')], max_length=12)),
                ('started_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField()),
                ('archived_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('document', models.JSONField()),
            ],
            options={
                'verbose_name': 'archived saga',
                'verbose_name_plural': 'archived sagas',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='RetentionRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('definition', models.CharField(max_length=100)),
                ('status', models.CharField(choices=[('completed', 'completed'), ('compensated', 'compensated'), ('abandoned', 'abandoned')], max_length=12)),
                ('keep_days', models.PositiveIntegerField()),
                ('action', models.CharField(choices=[('archive', 'archive'), ('drop', 'drop')], max_length=10)),
            ],
            options={
                'verbose_name': 'retention rule',
                'verbose_name_plural': 'retention rules',
                'default_permissions': ['view', 'change'],
            },
        ),
        migrations.AddField(
            model_name='sagastart',
            name='released_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name='sagastart',
            name='saga',
            field=models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='start', serialize=False, to='sagas.saga'),
        ),
        migrations.AddIndex(
            model_name='sagastart',
            index=models.Index(condition=models.Q(('released_at__isnull', False)), fields=['saga'], name='sagas_sagastart_released'),
        ),
        migrations.AddIndex(
            model_name='verbrequest',
            index=models.Index(fields=['at'], name='sagas_verbrequest_at'),
        ),
        migrations.AddField(
            model_name='archivedsaga',
            name='definition',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='archived', to='sagas.definition'),
        ),
        migrations.AddConstraint(
            model_name='retentionrule',
            constraint=models.UniqueConstraint(fields=('definition', 'status'), name='sagas_retention_one'),
        ),
        migrations.AddConstraint(
            model_name='retentionrule',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['completed', 'compensated', 'abandoned'])), name='sagas_retention_ended_only'),
        ),
        migrations.AddConstraint(
            model_name='retentionrule',
            constraint=models.CheckConstraint(condition=models.Q(('action__in', ['archive', 'drop'])), name='sagas_retention_action'),
        ),
        migrations.AddConstraint(
            model_name='retentionrule',
            constraint=models.CheckConstraint(condition=models.Q(('keep_days__gte', 1)), name='sagas_retention_keeps_a_day'),
        ),
        migrations.AddIndex(
            model_name='archivedsaga',
            index=models.Index(fields=['business_key'], name='sagas_archived_business_key', opclasses=['varchar_pattern_ops']),
        ),
        migrations.AddConstraint(
            model_name='archivedsaga',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['completed', 'compensated', 'abandoned'])), name='sagas_archived_ended_only'),
        ),
    ]
