-- The numbers of next_number. A number belongs to its entity for good, also when the
-- entity is deleted.
CREATE TABLE b24_number (
    portal TEXT NOT NULL,
    series TEXT NOT NULL,
    entity TEXT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (portal, series, entity),
    UNIQUE (portal, series, number)
);
