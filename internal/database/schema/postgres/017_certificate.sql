-- Certificates of listen: {https: …} with their keys, and what obtaining them needs. The
-- names are those of golang.org/x/crypto/acme/autocert.
CREATE TABLE b24_certificate (
    name TEXT PRIMARY KEY,
    data BYTEA NOT NULL
);
