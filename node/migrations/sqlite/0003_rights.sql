-- Who may do what in a room. Both follow the room's `member` and `room` events, in the transaction that commits them.

-- What is known of somebody in a room; nobody is here of whom nothing is known. Times are Unix milliseconds.
CREATE TABLE members (
    room         TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    name         TEXT NOT NULL,
    role         TEXT CHECK (role IN ('member', 'moderator', 'owner')),
    invited      INTEGER NOT NULL,
    banned_until INTEGER,
    muted_until  INTEGER,
    PRIMARY KEY (room, user_id)
) WITHOUT ROWID;

-- Whose rooms.
CREATE INDEX members_user ON members (user_id, room) WHERE role IS NOT NULL OR invited;

CREATE TABLE invites (
    id          TEXT PRIMARY KEY,
    room        TEXT    NOT NULL,
    secret_hash BLOB    NOT NULL UNIQUE,
    author      TEXT    NOT NULL,
    author_name TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    uses_left   INTEGER CHECK (uses_left >= 0)
) WITHOUT ROWID;

CREATE INDEX invites_room ON invites (room, created_at);
