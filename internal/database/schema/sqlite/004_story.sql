-- Attempts that the run had before it last started over: because of a replay, a crash,
-- or an event that joined it after a failure. Its next attempt has the number earlier + attempt + 1.
ALTER TABLE b24_run ADD COLUMN earlier BIGINT NOT NULL DEFAULT 0;

-- The cause of the last failure, the same for all runs that fail because of it; '' without one.
ALTER TABLE b24_run ADD COLUMN cause TEXT NOT NULL DEFAULT '';

-- What people did with a run ('replayed', 'discarded'), and which runs joined it ('joined').
CREATE TABLE b24_run_act (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id  BIGINT NOT NULL REFERENCES b24_run (id) ON DELETE CASCADE,
    action  TEXT NOT NULL,
    who     TEXT NOT NULL,
    joined  BIGINT NOT NULL, -- the number of the run that joined; 0 for other actions
    done_at BIGINT NOT NULL
);
CREATE INDEX b24_run_act_run ON b24_run_act (run_id);
CREATE INDEX b24_run_act_joined ON b24_run_act (joined) WHERE joined > 0;
