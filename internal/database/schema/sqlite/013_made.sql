-- What one step of a rule may make in one place of a portal.
CREATE TABLE b24_mark (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    portal        TEXT NOT NULL,
    rule          TEXT NOT NULL,
    step          TEXT NOT NULL,
    kind          TEXT NOT NULL, -- elements, items, fields
    place         TEXT NOT NULL, -- list:47, item:1038
    identity      TEXT NOT NULL, -- a digest of what tells the records of the step from others
    owner         TEXT NOT NULL,
    scope         TEXT NOT NULL,
    key           TEXT NOT NULL,
    fields        TEXT NOT NULL, -- a JSON list of names
    file          TEXT NOT NULL, -- of the last version, with line and column of the step
    first_version TEXT NOT NULL,
    last_version  TEXT NOT NULL,
    orphan_at     BIGINT NOT NULL DEFAULT 0, -- since when no rule has what was made
    released_at   BIGINT NOT NULL DEFAULT 0, -- a person has said that what was made may stay without a rule
    UNIQUE (portal, rule, step, place, kind, identity)
);

-- Each record that was made or written under a mark, with the last run that wrote it.
CREATE TABLE b24_made (
    mark   INTEGER NOT NULL,
    thing  INTEGER NOT NULL, -- the id of the element or item
    entity INTEGER NOT NULL, -- type and id of what the run was about, in one number
    run    INTEGER NOT NULL,
    at     INTEGER NOT NULL, -- seconds
    PRIMARY KEY (mark, thing)
) WITHOUT ROWID;
