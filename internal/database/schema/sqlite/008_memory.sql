-- What the runs of a rule remember about an entity. It replaces b24_once, whose rows
-- it keeps. A process of the previous version may still write b24_once.
CREATE TABLE b24_memory (
    portal TEXT NOT NULL,
    rule   TEXT NOT NULL,
    entity TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (portal, rule, entity, key)
);

INSERT INTO b24_memory (portal, rule, entity, key, value)
SELECT portal, rule, entity, step, value FROM b24_once;

CREATE TRIGGER b24_once_inserted AFTER INSERT ON b24_once BEGIN
    DELETE FROM b24_memory WHERE portal = NEW.portal AND rule = NEW.rule AND entity = NEW.entity AND key = NEW.step;
    INSERT INTO b24_memory (portal, rule, entity, key, value)
    VALUES (NEW.portal, NEW.rule, NEW.entity, NEW.step, NEW.value);
END;

CREATE TRIGGER b24_once_updated AFTER UPDATE ON b24_once BEGIN
    DELETE FROM b24_memory WHERE portal = NEW.portal AND rule = NEW.rule AND entity = NEW.entity AND key = NEW.step;
    INSERT INTO b24_memory (portal, rule, entity, key, value)
    VALUES (NEW.portal, NEW.rule, NEW.entity, NEW.step, NEW.value);
END;
