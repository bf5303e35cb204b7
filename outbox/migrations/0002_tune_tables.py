"""The rows that must be there, and storage settings that Django's models cannot say."""

from django.db import migrations

LANES = """
INSERT INTO outbox_lane (id, owner, epoch) SELECT n, '', 0 FROM generate_series(0, 63) AS n
"""

DEFAULT_ROUTE = """
INSERT INTO outbox_route (name, transport, target, types, on_dead, paused_by, pause_reason, outage_error)
VALUES ('saga-events', 'redis_stream', 'sagadesk:saga-events', '["saga.*", "compensation.*"]', 'continue', '', '', '')
"""

# Rows live for milliseconds: vacuum by a constant number of dead rows and without pauses, or every
# poll walks through what is gone.
DELIVERY_STORAGE = """
ALTER TABLE outbox_delivery SET (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000
)
"""
DELIVERY_STORAGE_BACK = """
ALTER TABLE outbox_delivery RESET (
    fillfactor,
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay,
    autovacuum_analyze_scale_factor, autovacuum_analyze_threshold
)
"""

# 64 rows, updated with every batch: room on the page keeps those updates off the index.
LANE_STORAGE = """
ALTER TABLE outbox_lane SET (
    fillfactor = 20,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0
)
"""
LANE_STORAGE_BACK = """
ALTER TABLE outbox_lane RESET (
    fillfactor,
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay
)
"""

# Purging what was published long ago; next to nothing to keep up, because rows come in this order.
MESSAGE_TIME = """
CREATE INDEX outbox_message_time ON outbox_message
USING brin (created_at) WITH (pages_per_range = 32, autosummarize = on)
"""


class Migration(migrations.Migration):
    dependencies = [("outbox", "0001_initial")]

    operations = [
        migrations.RunSQL(LANES, "DELETE FROM outbox_lane"),
        migrations.RunSQL(DEFAULT_ROUTE, "DELETE FROM outbox_route WHERE name = 'saga-events'"),
        migrations.RunSQL(DELIVERY_STORAGE, DELIVERY_STORAGE_BACK),
        migrations.RunSQL(LANE_STORAGE, LANE_STORAGE_BACK),
        migrations.RunSQL(MESSAGE_TIME, "DROP INDEX outbox_message_time"),
    ]
