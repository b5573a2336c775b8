-- The portals that a worker can work, as a JSON list; '' for all of them. Who
-- shares a portal is counted among those that can.
ALTER TABLE b24_worker ADD COLUMN portals TEXT NOT NULL DEFAULT '';
