-- The log of all rooms and what belongs to it. Times are Unix milliseconds by this machine's clock.

CREATE TABLE rooms (
    name       TEXT PRIMARY KEY,
    title      TEXT    NOT NULL,
    topic      TEXT    NOT NULL DEFAULT '',
    -- What the room is found by: its name and title in lower case. The node writes it, which knows the letters of all
    -- scripts.
    search     TEXT    NOT NULL,
    visibility TEXT    NOT NULL DEFAULT 'public',
    archived   INTEGER NOT NULL DEFAULT 0,
    -- Shortest pause between two messages of one person, in seconds; 0: none.
    slow_mode  INTEGER NOT NULL DEFAULT 0,
    -- The last committed seq; 0: none.
    head       INTEGER NOT NULL DEFAULT 0,
    -- Time of the last event: `at` never goes back, also when the clock does.
    last_at    INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- One row an event, in its present state: an edited message has its newest text, a deleted one ''.
CREATE TABLE events (
    room        TEXT    NOT NULL,
    seq         INTEGER NOT NULL,
    author      TEXT    NOT NULL,
    author_name TEXT    NOT NULL,
    cid         TEXT,
    at          INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    -- Of a message or an edit; an edit that is no longer the present text has none.
    text        TEXT,
    reply_to    INTEGER,
    edited_at   INTEGER,
    -- The edit that a message's text is from, and its first delete.
    edited_by   INTEGER,
    deleted_by  INTEGER,
    -- Of an edit, a delete or a reaction: the message's seq.
    target      INTEGER,
    emoji       TEXT,
    given       INTEGER,
    -- The fields of what happens rarely (member, room), as JSON.
    details     TEXT,
    PRIMARY KEY (room, seq)
) WITHOUT ROWID;

CREATE UNIQUE INDEX events_cid ON events (room, author, cid) WHERE cid IS NOT NULL;

-- The last reaction event of a person, message and emoji.
CREATE TABLE reactions (
    room   TEXT    NOT NULL,
    target INTEGER NOT NULL,
    author TEXT    NOT NULL,
    emoji  TEXT    NOT NULL,
    given  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (room, target, author, emoji)
) WITHOUT ROWID;

CREATE TABLE read_marks (
    room   TEXT    NOT NULL,
    "user" TEXT    NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (room, "user")
) WITHOUT ROWID;

-- Keys that outlive the process.
CREATE TABLE shared_keys (
    name TEXT PRIMARY KEY,
    key  BLOB NOT NULL
) WITHOUT ROWID;

-- One row: the name of this history, which changes when a backup was restored.
CREATE TABLE history (
    single INTEGER PRIMARY KEY CHECK (single = 1),
    epoch  TEXT NOT NULL
);
INSERT INTO history (single, epoch) VALUES (1, lower(hex(randomblob(16))));
