"""Storage settings of the hot table.

The saga row is written some five times in its life. Free space on its page keeps the middle
ones heap-only; frequent, cheap vacuums keep dead entries out of the index of what is due.
"""

from django.db import migrations

TUNE = """
ALTER TABLE sagas_saga SET (
    fillfactor = 60,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.05
);
ALTER TABLE sagas_sagastart SET (autovacuum_analyze_scale_factor = 0.05);
"""
RESET = """
ALTER TABLE sagas_saga RESET (
    fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_vacuum_cost_delay, autovacuum_analyze_scale_factor
);
ALTER TABLE sagas_sagastart RESET (autovacuum_analyze_scale_factor);
"""


class Migration(migrations.Migration):
    dependencies = [("sagas", "0001_initial")]
    operations = [migrations.RunSQL(TUNE, RESET)]
