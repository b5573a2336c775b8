-- Times in which events may have been missed. A window of all rules has rule ''. It goes
-- when a catch-up over it has succeeded, or when a person drops it.
CREATE TABLE b24_window (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portal  TEXT NOT NULL,
    rule    TEXT NOT NULL,
    from_at BIGINT NOT NULL,
    to_at   BIGINT NOT NULL,
    why     TEXT NOT NULL,
    note    TEXT NOT NULL, -- why it was not caught up so far; '' before the first try
    held    BOOLEAN NOT NULL, -- a person decides
    next_at BIGINT NOT NULL -- when it is tried again
);
CREATE INDEX b24_window_portal ON b24_window (portal, rule);
