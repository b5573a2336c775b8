-- Runs that do not start because of a fault: of a portal (rule is ''), or of a
-- rule of a portal. probe_at is when the worker looks next whether it is over.
CREATE TABLE b24_hold (
    portal   TEXT NOT NULL,
    rule     TEXT NOT NULL,
    cause    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    since    BIGINT NOT NULL,
    probe_at BIGINT NOT NULL,
    PRIMARY KEY (portal, rule)
);
