-- Work that is no run of a rule: see internal/jobs. Portal '' is for work that belongs
-- to no portal. every is in microseconds, 0 for a job that does not repeat. claim is a
-- number that each claim draws; owner is for people.
CREATE TABLE b24_job (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portal     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    key        TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    due_at     BIGINT NOT NULL,
    every      BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    place      TEXT NOT NULL,
    claim      BIGINT NOT NULL DEFAULT 0,
    owner      TEXT NOT NULL DEFAULT '',
    error      TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    started_at BIGINT NOT NULL DEFAULT 0,
    ended_at   BIGINT NOT NULL DEFAULT 0
);

-- One open job of a portal, kind and key.
CREATE UNIQUE INDEX b24_job_open ON b24_job (portal, kind, key) WHERE state IN ('waiting', 'running');

CREATE INDEX b24_job_due ON b24_job (due_at, id) WHERE state IN ('waiting', 'running');
CREATE INDEX b24_job_ended ON b24_job (ended_at) WHERE state IN ('done', 'failed', 'cancelled');
CREATE INDEX b24_job_key ON b24_job (portal, kind, key, id);
