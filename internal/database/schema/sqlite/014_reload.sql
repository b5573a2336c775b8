-- Requests to load the configuration and the rules again, and the answers to them.
CREATE TABLE b24_reload (
    id      TEXT NOT NULL,
    process TEXT NOT NULL, -- that answers; '' for the request
    at      BIGINT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (id, process)
);
