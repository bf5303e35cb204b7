"""What definitions declare of the input, found by an index that other starts never write."""


import django.contrib.postgres.indexes
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sagas', '0007_participant_limits'),
    ]

    operations = [
        migrations.AddField(
            model_name='sagastart',
            name='search',
            field=models.JSONField(null=True),
        ),
        migrations.AddIndex(
            model_name='sagastart',
            index=django.contrib.postgres.indexes.GinIndex(condition=models.Q(('search__isnull', False)), fields=['search'], name='sagas_sagastart_search', opclasses=['jsonb_path_ops']),
        ),
    ]
