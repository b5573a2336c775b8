-- The one run that starts although its rule is held, to find out whether that is over.
ALTER TABLE b24_hold ADD COLUMN pass BIGINT NOT NULL DEFAULT 0;
