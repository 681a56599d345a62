-- The log of all rooms and what belongs to it. Times are Unix milliseconds by this server's clock. Names, ids and emoji
-- are compared byte by byte (COLLATE "C"): that is the order in which nodes lock rooms, and it is cheap.

CREATE TABLE rooms (
    name       text COLLATE "C" PRIMARY KEY,
    title      text   NOT NULL,
    topic      text   NOT NULL DEFAULT '',
    -- What the room is found by: its name and title in lower case. The node writes it, which knows the letters of all
    -- scripts whatever this database's locale.
    search     text COLLATE "C" NOT NULL,
    visibility text COLLATE "C" NOT NULL DEFAULT 'public',
    archived   boolean NOT NULL DEFAULT false,
    -- Shortest pause between two messages of one person, in seconds; 0: none.
    slow_mode  bigint NOT NULL DEFAULT 0,
    -- The last committed seq; 0: none. Whoever appends holds this row's lock until the commit.
    head       bigint NOT NULL DEFAULT 0,
    -- Time of the last event: `at` never goes back, also when the clock does.
    last_at    bigint NOT NULL DEFAULT 0,
    created_at bigint NOT NULL
-- Room for many versions of a row in its page: each batch updates `head`, and no index is touched by it.
) WITH (fillfactor = 50);

-- One row an event, in its present state: an edited message has its newest text, a deleted one ''.
CREATE TABLE events (
    room        text COLLATE "C" NOT NULL,
    seq         bigint NOT NULL,
    author      text COLLATE "C" NOT NULL,
    author_name text   NOT NULL,
    cid         text COLLATE "C",
    at          bigint NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    -- Of a message or an edit; an edit that is no longer the present text has none.
    text        text,
    reply_to    bigint,
    edited_at   bigint,
    -- The edit that a message's text is from, and its first delete.
    edited_by   bigint,
    deleted_by  bigint,
    -- Of an edit, a delete or a reaction: the message's seq.
    target      bigint,
    emoji       text COLLATE "C",
    given       boolean,
    -- The fields of what happens rarely (member, room), as JSON.
    details     text,
    PRIMARY KEY (room, seq)
);

CREATE UNIQUE INDEX events_cid ON events (room, author, cid) WHERE cid IS NOT NULL;

-- The last reaction event of a person, message and emoji.
CREATE TABLE reactions (
    room   text COLLATE "C" NOT NULL,
    target bigint NOT NULL,
    author text COLLATE "C" NOT NULL,
    emoji  text COLLATE "C" NOT NULL,
    given  boolean NOT NULL,
    seq    bigint NOT NULL,
    at     bigint NOT NULL,
    PRIMARY KEY (room, target, author, emoji)
);

CREATE TABLE read_marks (
    room     text COLLATE "C" NOT NULL,
    "user"   text COLLATE "C" NOT NULL,
    seq      bigint NOT NULL,
    PRIMARY KEY (room, "user")
);

-- Keys that all nodes share.
CREATE TABLE shared_keys (
    name text COLLATE "C" PRIMARY KEY,
    key  bytea NOT NULL
);

-- One row: the name of this history, which changes when a backup was restored.
CREATE TABLE history (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    epoch  text NOT NULL
);
INSERT INTO history (epoch) VALUES (replace(gen_random_uuid()::text, '-', ''));

CREATE FUNCTION unix_ms() RETURNS bigint LANGUAGE sql VOLATILE
    RETURN floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
