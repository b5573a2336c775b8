-- Sleeping runs, which wait for a time of their rule, are counted apart from others:
-- the index holds all that counting needs.
DROP INDEX b24_run_open;
CREATE INDEX b24_run_open ON b24_run (portal, priority, state, due_at, opened_at)
    WHERE state IN ('waiting', 'blocked', 'queued', 'running', 'parked');
