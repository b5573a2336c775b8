-- How long, in microseconds, the portal's limits had not been used up when its
-- lease was given back. 0 while somebody has it: whoever is killed tells nothing.
ALTER TABLE b24_lease ADD COLUMN rested BIGINT NOT NULL DEFAULT 0;
