-- What people and programs did. Rows are only inserted.
CREATE TABLE b24_audit (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     BIGINT NOT NULL,
    who    TEXT NOT NULL,
    via    TEXT NOT NULL, -- console, cli, token, files
    action TEXT NOT NULL,
    portal TEXT NOT NULL, -- '' for all
    target TEXT NOT NULL,
    runs   BIGINT NOT NULL,
    result TEXT NOT NULL
);
CREATE INDEX b24_audit_at ON b24_audit (at);

-- Sessions of the console. token is the SHA-256 of what the browser has.
CREATE TABLE b24_session (
    token      TEXT NOT NULL PRIMARY KEY,
    who        TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL
);

-- Causes of failures that a person knows of: there is no alert about them until another
-- portal or rule fails because of them. known is a JSON list of portals and rules.
CREATE TABLE b24_cause (
    cause           TEXT NOT NULL PRIMARY KEY,
    acknowledged_by TEXT NOT NULL,
    acknowledged_at BIGINT NOT NULL,
    note            TEXT NOT NULL,
    known           TEXT NOT NULL
);

-- Why the event met no rule: a JSON list, '' if it met one.
ALTER TABLE b24_event ADD COLUMN why TEXT NOT NULL DEFAULT '';

-- The newest runs and events of a portal, and the runs of a cause.
CREATE INDEX b24_run_portal ON b24_run (portal, id);
CREATE INDEX b24_run_cause ON b24_run (cause, portal, rule, id) WHERE state = 'parked';
CREATE INDEX b24_event_portal ON b24_event (portal, id);
