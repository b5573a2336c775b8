-- Which version of a rule set a person has applied in a portal, with reload: manual.
CREATE TABLE b24_applied (
    portal     TEXT NOT NULL,
    instance   TEXT NOT NULL,
    version    TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    applied_by TEXT NOT NULL,
    PRIMARY KEY (portal, instance)
);
