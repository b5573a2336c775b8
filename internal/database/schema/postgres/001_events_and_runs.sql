-- Times are microseconds since 1970 (UTC), so that they compare as numbers in
-- every database; 0 means none.

CREATE TABLE b24_event (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portal      TEXT NOT NULL,
    code        TEXT NOT NULL,
    data        TEXT NOT NULL,
    routes      BIGINT NOT NULL, -- how many rules wanted it
    sent_at     BIGINT NOT NULL,
    received_at BIGINT NOT NULL
);

CREATE INDEX b24_event_no_rule ON b24_event (id) WHERE routes = 0;

CREATE TABLE b24_run (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
    priority     BIGINT NOT NULL DEFAULT 0, -- 0: because of an event of the portal; 1: backfill
    claim        BIGINT NOT NULL DEFAULT 0, -- a number that each claim draws anew; who ends a run must know it
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
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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

-- Processes that work portals. beat changes as long as one lives.
CREATE TABLE b24_worker (
    id   TEXT NOT NULL PRIMARY KEY,
    info TEXT NOT NULL, -- for people
    beat BIGINT NOT NULL
);

-- Who works a portal. beat changes as long as the owner holds it, token with
-- every owner: writes of one that has lost its lease carry an old token.
CREATE TABLE b24_lease (
    portal TEXT NOT NULL PRIMARY KEY,
    owner  TEXT NOT NULL, -- of b24_worker; '' when nobody has it
    token  BIGINT NOT NULL,
    beat   BIGINT NOT NULL
);
