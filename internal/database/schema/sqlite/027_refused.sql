-- How many requests were refused in an hour because nothing proved them. portal is '' for
-- addresses of no portal, kind is event, hook or robot. asked is the portal's name in the
-- address of the last one.
CREATE TABLE b24_refused (
    portal   TEXT NOT NULL,
    kind     TEXT NOT NULL,
    hour_at  BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    last_at  BIGINT NOT NULL,
    asked    TEXT NOT NULL,
    PRIMARY KEY (portal, kind, hour_at)
);
