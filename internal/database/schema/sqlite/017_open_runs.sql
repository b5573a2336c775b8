-- Counts of unfinished runs omit sleeping runs by a range of this index: those have
-- been opened in the future.
DROP INDEX b24_run_open;
CREATE INDEX b24_run_open ON b24_run (portal, priority, state, opened_at, due_at)
    WHERE state IN ('waiting', 'blocked', 'queued', 'running', 'parked');
