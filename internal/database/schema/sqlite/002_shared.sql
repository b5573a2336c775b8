-- 0: because of an event of the portal; 1: backfill.
ALTER TABLE b24_run ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;

-- A number that each claim of the run draws anew. Who ends a run must know it.
ALTER TABLE b24_run ADD COLUMN claim BIGINT NOT NULL DEFAULT 0;

DROP INDEX b24_run_due;
CREATE INDEX b24_run_due ON b24_run (portal, priority, due_at, id) WHERE state = 'waiting';

-- What has not ended well, for counting it.
CREATE INDEX b24_run_open ON b24_run (portal, priority, state, due_at)
    WHERE state IN ('waiting', 'blocked', 'queued', 'running', 'parked');

-- For forgetting what is over.
CREATE INDEX b24_run_finished ON b24_run (state, finished_at)
    WHERE state IN ('succeeded', 'parked', 'discarded');
CREATE INDEX b24_run_latest ON b24_run (event_id);
CREATE INDEX b24_event_received ON b24_event (received_at, id);

-- What does not start: a rule of a portal; all rules of a portal (rule is '');
-- a rule in all portals (portal is '').
CREATE TABLE b24_pause (
    portal    TEXT NOT NULL,
    rule      TEXT NOT NULL,
    reason    TEXT NOT NULL,
    paused_at BIGINT NOT NULL,
    PRIMARY KEY (portal, rule)
);

-- Small things to remember that belong to no run, such as how far a backfill is.
CREATE TABLE b24_note (
    name   TEXT NOT NULL PRIMARY KEY,
    value  TEXT NOT NULL,
    set_at BIGINT NOT NULL
);
