-- What a run that succeeded did: done, skipped, stopped, deleted or gone, and how many writes
-- it made. '' for other runs, and for those of older versions.
ALTER TABLE b24_run ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
ALTER TABLE b24_run ADD COLUMN writes BIGINT NOT NULL DEFAULT 0;
