-- Who there is: accounts, what they sign in with, who is banned, what was done to whom.

CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    name          TEXT    NOT NULL,
    -- The first of its name keys: what one signs in with, and the order of pages.
    name_key      TEXT    NOT NULL UNIQUE,
    -- PHC string (argon2id); none for bots.
    password      TEXT,
    administrator BOOLEAN NOT NULL,
    bot           BOOLEAN NOT NULL,
    created_at    INTEGER NOT NULL
) WITHOUT ROWID;

-- All that a name must not be like.
CREATE TABLE name_keys (
    name_key TEXT PRIMARY KEY,
    user_id  TEXT NOT NULL REFERENCES users ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX name_keys_user ON name_keys (user_id);

-- Sessions and API keys. The token itself is not kept, only its SHA-256.
CREATE TABLE credentials (
    id           TEXT PRIMARY KEY,
    kind         TEXT    NOT NULL,
    hash         BLOB    NOT NULL UNIQUE,
    user_id      TEXT    NOT NULL REFERENCES users ON DELETE CASCADE,
    label        TEXT    NOT NULL,
    scopes       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at   INTEGER
) WITHOUT ROWID;
CREATE INDEX credentials_user ON credentials (user_id, kind, last_used_at);
CREATE INDEX credentials_expiry ON credentials (expires_at) WHERE expires_at IS NOT NULL;

-- Bans from the whole server: of accounts, guests, and people that another application vouches for.
CREATE TABLE bans (
    user_id TEXT PRIMARY KEY,
    name    TEXT    NOT NULL,
    until   INTEGER,
    reason  TEXT    NOT NULL,
    at      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    actor_name TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    room       TEXT,
    -- A JSON object.
    details    TEXT    NOT NULL
);

-- What has to be acted upon.
CREATE TABLE account_feed (
    single  INTEGER PRIMARY KEY CHECK (single = 1),
    version INTEGER NOT NULL
);
INSERT INTO account_feed (single, version) VALUES (1, 0);

CREATE TABLE account_changes (
    version       INTEGER PRIMARY KEY,
    user_id       TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    credential_id TEXT,
    name          TEXT,
    until         INTEGER,
    at            INTEGER NOT NULL
);
CREATE INDEX account_changes_at ON account_changes (at);
