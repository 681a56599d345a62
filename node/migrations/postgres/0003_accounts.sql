-- Who there is: accounts, what they sign in with, who is banned, what was done to whom.

CREATE TABLE users (
    id            text COLLATE "C" PRIMARY KEY,
    name          text NOT NULL,
    -- The first of its name keys: what one signs in with, and the order of pages.
    name_key      text COLLATE "C" NOT NULL UNIQUE,
    -- PHC string (argon2id); none for bots.
    password      text,
    administrator boolean NOT NULL,
    bot           boolean NOT NULL,
    created_at    bigint NOT NULL
);

-- All that a name must not be like.
CREATE TABLE name_keys (
    name_key text COLLATE "C" PRIMARY KEY,
    user_id  text COLLATE "C" NOT NULL REFERENCES users ON DELETE CASCADE
);
CREATE INDEX name_keys_user ON name_keys (user_id);

-- Sessions and API keys. The token itself is not kept, only its SHA-256.
CREATE TABLE credentials (
    id           text COLLATE "C" PRIMARY KEY,
    kind         text NOT NULL,
    hash         bytea NOT NULL UNIQUE,
    user_id      text COLLATE "C" NOT NULL REFERENCES users ON DELETE CASCADE,
    label        text NOT NULL,
    scopes       text NOT NULL,
    created_at   bigint NOT NULL,
    last_used_at bigint NOT NULL,
    expires_at   bigint
);
CREATE INDEX credentials_user ON credentials (user_id, kind, last_used_at);
CREATE INDEX credentials_expiry ON credentials (expires_at) WHERE expires_at IS NOT NULL;

-- Bans from the whole server: of accounts, guests, and people that another application vouches for.
CREATE TABLE bans (
    user_id text COLLATE "C" PRIMARY KEY,
    name    text NOT NULL,
    until   bigint,
    reason  text NOT NULL,
    at      bigint NOT NULL
);

CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         bigint NOT NULL,
    actor      text NOT NULL,
    actor_name text NOT NULL,
    action     text NOT NULL,
    target     text NOT NULL,
    room       text,
    -- A JSON object.
    details    text NOT NULL
);

-- What every node has to act upon. The one row of account_feed is locked until the transaction ends, so that versions
-- are committed in their order and without a hole.
CREATE TABLE account_feed (
    single  boolean PRIMARY KEY DEFAULT true CHECK (single),
    version bigint NOT NULL
);
INSERT INTO account_feed (version) VALUES (0);

CREATE TABLE account_changes (
    version       bigint PRIMARY KEY,
    user_id       text NOT NULL,
    kind          text NOT NULL,
    credential_id text,
    name          text,
    until         bigint,
    at            bigint NOT NULL
);
CREATE INDEX account_changes_at ON account_changes (at);
