-- Things that are wrong and of which people are informed. scope is the process that sees
-- it, '' if all see it in the database.
CREATE TABLE b24_alert (
    scope     TEXT NOT NULL,
    alert     TEXT NOT NULL,
    seen_at   BIGINT NOT NULL,
    sent_at   BIGINT NOT NULL, -- the last message; 0 without one
    runs      BIGINT NOT NULL, -- in the last message
    condition TEXT NOT NULL,
    PRIMARY KEY (scope, alert)
);

-- Messages to the receivers of alerts.
CREATE TABLE b24_alert_message (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    receiver   TEXT NOT NULL,
    body       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    sent_at    BIGINT NOT NULL DEFAULT 0,
    error      TEXT NOT NULL DEFAULT ''
);
CREATE INDEX b24_alert_message_receiver ON b24_alert_message (receiver, sent_at, id);
