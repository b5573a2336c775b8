-- How often a portal agreed with a rule in shadow mode, counted for one version of the
-- rule.
CREATE TABLE b24_shadow (
    portal   TEXT NOT NULL,
    rule     TEXT NOT NULL,
    version  TEXT NOT NULL,
    agreed   BIGINT NOT NULL,
    differed BIGINT NOT NULL,
    failed   BIGINT NOT NULL, -- runs that could not be compared
    since    BIGINT NOT NULL,
    last_at  BIGINT NOT NULL,
    PRIMARY KEY (portal, rule)
);

-- The last difference of an entity. agreed_at is when the portal agreed later, 0 if it
-- has not. again_run is the run that looks a second time before a difference counts; a
-- row with run_id 0 has no difference yet.
CREATE TABLE b24_shadow_entity (
    portal    TEXT NOT NULL,
    rule      TEXT NOT NULL,
    entity    TEXT NOT NULL,
    run_id    BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    agreed_at BIGINT NOT NULL,
    again_run BIGINT NOT NULL,
    changes   TEXT NOT NULL,
    error     TEXT NOT NULL,
    PRIMARY KEY (portal, rule, entity)
);

-- What a step would have sent that no later read can show, such as a message.
CREATE TABLE b24_shadow_effect (
    portal  TEXT NOT NULL,
    rule    TEXT NOT NULL,
    step    TEXT NOT NULL,
    method  TEXT NOT NULL,
    sent    BIGINT NOT NULL,
    entity  TEXT NOT NULL, -- the last one
    at      BIGINT NOT NULL,
    example TEXT NOT NULL,
    PRIMARY KEY (portal, rule, step, method)
);
