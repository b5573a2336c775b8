-- What the runs of a rule remember about an entity. It replaces b24_once, whose rows
-- it keeps. Processes of the previous version read and write them by the view.
ALTER TABLE b24_once RENAME TO b24_memory;
ALTER TABLE b24_memory RENAME COLUMN step TO key;

CREATE VIEW b24_once AS SELECT portal, rule, entity, key AS step, value FROM b24_memory;
