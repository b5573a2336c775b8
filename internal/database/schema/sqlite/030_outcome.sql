-- What a run that succeeded did: done, skipped, stopped, deleted or gone, and how many writes
-- it made. '' for other runs, and for those of older versions.
ALTER TABLE b24_run ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
ALTER TABLE b24_run ADD COLUMN writes BIGINT NOT NULL DEFAULT 0;

-- Made anew: of two indexes that fit, SQLite takes the one that was made last.
DROP INDEX b24_run_busy;
CREATE UNIQUE INDEX b24_run_busy ON b24_run (portal, entity)
    WHERE state IN ('queued', 'running');
