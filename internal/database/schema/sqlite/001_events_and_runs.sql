-- Times are microseconds since 1970 (UTC), so that they compare as numbers in
-- every database; 0 means none.

CREATE TABLE b24_event (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    portal      TEXT NOT NULL,
    code        TEXT NOT NULL,
    data        TEXT NOT NULL,
    routes      BIGINT NOT NULL, -- how many rules wanted it
    sent_at     BIGINT NOT NULL,
    received_at BIGINT NOT NULL
);

CREATE INDEX b24_event_no_rule ON b24_event (id) WHERE routes = 0;

CREATE TABLE b24_run (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    portal       TEXT NOT NULL,
    rule         TEXT NOT NULL,
    entity       TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN
        ('waiting', 'blocked', 'queued', 'running', 'succeeded', 'parked', 'discarded')),
    added        BOOLEAN NOT NULL,
    deleted      BOOLEAN NOT NULL,
    count        BIGINT NOT NULL,
    attempt      BIGINT NOT NULL DEFAULT 0,
    max_attempts BIGINT NOT NULL,
    event_id     BIGINT NOT NULL REFERENCES b24_event (id),
    first_at     BIGINT NOT NULL,
    opened_at    BIGINT NOT NULL,
    due_at       BIGINT NOT NULL,
    not_before   BIGINT NOT NULL DEFAULT 0,
    started_at   BIGINT NOT NULL DEFAULT 0,
    finished_at  BIGINT NOT NULL DEFAULT 0,
    error        TEXT NOT NULL DEFAULT ''
);

-- Events of one rule and entity become one run until it starts.
CREATE UNIQUE INDEX b24_run_pending ON b24_run (portal, rule, entity)
    WHERE state IN ('waiting', 'blocked', 'queued');

-- One run at a time per entity, whatever the rule.
CREATE UNIQUE INDEX b24_run_busy ON b24_run (portal, entity)
    WHERE state IN ('queued', 'running');

CREATE INDEX b24_run_due ON b24_run (due_at, id) WHERE state = 'waiting';
CREATE INDEX b24_run_blocked ON b24_run (portal, entity) WHERE state = 'blocked';
CREATE INDEX b24_run_state ON b24_run (state, id);
CREATE INDEX b24_run_entity ON b24_run (portal, entity, id);

CREATE TABLE b24_run_event (
    run_id   BIGINT NOT NULL REFERENCES b24_run (id) ON DELETE CASCADE,
    event_id BIGINT NOT NULL REFERENCES b24_event (id) ON DELETE CASCADE,
    PRIMARY KEY (run_id, event_id)
);
CREATE INDEX b24_run_event_event ON b24_run_event (event_id);

CREATE TABLE b24_attempt (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id      BIGINT NOT NULL REFERENCES b24_run (id) ON DELETE CASCADE,
    number      BIGINT NOT NULL,
    outcome     TEXT NOT NULL,
    error       TEXT NOT NULL,
    record      TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT NOT NULL
);
CREATE INDEX b24_attempt_run ON b24_attempt (run_id);

CREATE TABLE b24_once (
    portal TEXT NOT NULL,
    rule   TEXT NOT NULL,
    entity TEXT NOT NULL,
    step   TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (portal, rule, entity, step)
);

CREATE TABLE b24_done (
    run_id  BIGINT NOT NULL REFERENCES b24_run (id) ON DELETE CASCADE,
    key     TEXT NOT NULL,
    done_at BIGINT NOT NULL,
    PRIMARY KEY (run_id, key)
);

CREATE TABLE b24_tombstone (
    portal  TEXT NOT NULL,
    entity  TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (portal, entity)
);
