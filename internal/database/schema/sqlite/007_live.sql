-- The rule sets of the portal that should have seen the event and did not run then:
-- names with a space between them, '*' for all, '' for none. See Queue.RouteAgain.
ALTER TABLE b24_event ADD COLUMN missing TEXT NOT NULL DEFAULT '';
CREATE INDEX b24_event_missing ON b24_event (portal, id) WHERE missing <> '';

-- Texts of rule files that ran. text is compressed.
CREATE TABLE b24_ruleset (
    version TEXT NOT NULL PRIMARY KEY,
    name    TEXT NOT NULL,
    file    TEXT NOT NULL,
    text    BLOB NOT NULL
);

-- Which version of a rule set ran last in a portal. refused is why its current text does
-- not run there, since refused_at.
CREATE TABLE b24_live (
    portal     TEXT NOT NULL,
    instance   TEXT NOT NULL,
    version    TEXT NOT NULL,
    live_since BIGINT NOT NULL,
    refused    TEXT NOT NULL,
    refused_at BIGINT NOT NULL,
    PRIMARY KEY (portal, instance)
);
