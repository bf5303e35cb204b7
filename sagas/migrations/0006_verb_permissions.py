"""Permissions for what operators can do with sagas by now."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0005_described_apis"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="saga",
            options={
                "permissions": [
                    ("start_saga", "Can start sagas"),
                    ("retry_saga", "Can retry failed sagas"),
                    ("compensate_saga", "Can compensate sagas"),
                    ("pause_saga", "Can pause and resume sagas"),
                    ("cancel_saga", "Can cancel sagas"),
                    ("mark_done_saga", "Can mark a step as done by hand"),
                    ("skip_saga", "Can skip a step"),
                    ("rewind_saga", "Can rewind sagas"),
                    ("edit_input_saga", "Can retry with another input"),
                    ("move_saga", "Can move sagas to another version"),
                    ("abandon_saga", "Can abandon sagas"),
                    ("approve_saga", "Can approve or reject what waits for a decision"),
                    ("signal_saga", "Can send signals to sagas"),
                    ("reply_saga", "Can hand in replies of participants"),
                ],
                "verbose_name": "saga",
                "verbose_name_plural": "sagas",
            },
        ),
    ]
