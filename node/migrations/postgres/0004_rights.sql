-- Who may do what in a room. Both follow the room's `member` and `room` events, in the transaction that commits them.

-- What is known of somebody in a room; nobody is here of whom nothing is known. Times are Unix milliseconds.
CREATE TABLE members (
    room         text COLLATE "C" NOT NULL,
    user_id      text COLLATE "C" NOT NULL,
    name         text NOT NULL,
    role         text COLLATE "C" CHECK (role IN ('member', 'moderator', 'owner')),
    invited      boolean NOT NULL,
    banned_until bigint,
    muted_until  bigint,
    PRIMARY KEY (room, user_id)
);

-- Whose rooms.
CREATE INDEX members_user ON members (user_id, room) WHERE role IS NOT NULL OR invited;

CREATE TABLE invites (
    id          text COLLATE "C" PRIMARY KEY,
    room        text COLLATE "C" NOT NULL,
    secret_hash bytea  NOT NULL UNIQUE,
    author      text COLLATE "C" NOT NULL,
    author_name text   NOT NULL,
    created_at  bigint NOT NULL,
    expires_at  bigint,
    uses_left   bigint CHECK (uses_left >= 0)
);

CREATE INDEX invites_room ON invites (room, created_at);

-- Whether a `member` event would take the role from the only owner while others have one.
CREATE FUNCTION would_lose_its_owner(_room text, _details json) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT (_details ->> 'change' IN ('left', 'removed', 'banned')
            OR _details ->> 'change' = 'role' AND _details ->> 'role' IS DISTINCT FROM 'owner')
        AND EXISTS (SELECT FROM members
                    WHERE room = _room AND user_id = _details -> 'who' ->> 'id' AND role = 'owner')
        AND EXISTS (SELECT FROM members
                    WHERE room = _room AND user_id <> _details -> 'who' ->> 'id' AND role IS NOT NULL)
        AND NOT EXISTS (SELECT FROM members
                        WHERE room = _room AND user_id <> _details -> 'who' ->> 'id' AND role = 'owner')
$$;

-- Takes over what a `member` or `room` event says, and keeps it for the record. Times that do not end are 2^53 - 1.
CREATE FUNCTION note_rights(_room text, _author text, _author_name text, _at bigint, _kind text, _details json)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    _no_end CONSTANT bigint := 9007199254740991;
    _change CONSTANT text := _details ->> 'change';
    _value CONSTANT json := _details -> 'value';
    _id CONSTANT text := _details -> 'who' ->> 'id';
    _role CONSTANT text := CASE WHEN _details ->> 'role' IN ('member', 'moderator', 'owner') THEN _details ->> 'role' END;
    _until CONSTANT bigint := least((_details ->> 'until')::numeric, _no_end)::bigint;
BEGIN
    INSERT INTO audit (at, actor, actor_name, action, target, room, details)
    VALUES (_at, _author, _author_name, _kind || '.' || _change, coalesce(_id, _room), _room,
            CASE _kind
            WHEN 'room' THEN json_build_object('value', _value)
            ELSE json_build_object('name', _details -> 'who' ->> 'name', 'role', _details ->> 'role',
                                   'until', _details -> 'until', 'reason', _details ->> 'reason')
            END::text);
    IF _kind = 'room' THEN
        UPDATE rooms SET
            search = coalesce(_details ->> 'search', search),
            title = CASE WHEN _change = 'title' AND json_typeof(_value) = 'string'
                THEN _details ->> 'value' ELSE title END,
            topic = CASE WHEN _change = 'topic' AND json_typeof(_value) = 'string'
                THEN _details ->> 'value' ELSE topic END,
            visibility = CASE WHEN _change = 'visibility' AND _details ->> 'value' IN ('public', 'private', 'direct')
                THEN _details ->> 'value' ELSE visibility END,
            archived = CASE WHEN _change = 'archived' AND json_typeof(_value) = 'boolean'
                THEN (_details ->> 'value')::boolean ELSE archived END,
            slow_mode = CASE WHEN _change = 'slow_mode' AND json_typeof(_value) = 'number'
                THEN least((_details ->> 'value')::numeric, _no_end)::bigint ELSE slow_mode END
        WHERE name = _room;
        RETURN;
    END IF;
    INSERT INTO members (room, user_id, name, invited) VALUES (_room, _id, _details -> 'who' ->> 'name', false)
    ON CONFLICT (room, user_id) DO UPDATE SET name = excluded.name;
    UPDATE members SET
        role = CASE
            WHEN _change = 'joined' THEN coalesce(_role, role, 'member')
            WHEN _change = 'role' THEN _role
            WHEN _change IN ('left', 'removed', 'banned') THEN NULL
            ELSE role END,
        invited = CASE
            WHEN _change = 'invited' THEN role IS NULL
            WHEN _change IN ('joined', 'left', 'removed', 'banned') THEN false
            ELSE invited END,
        banned_until = CASE _change
            WHEN 'banned' THEN coalesce(_until, _no_end) WHEN 'unbanned' THEN NULL ELSE banned_until END,
        muted_until = CASE _change
            WHEN 'muted' THEN coalesce(_until, _no_end) WHEN 'unmuted' THEN NULL ELSE muted_until END
    WHERE room = _room AND user_id = _id;
    DELETE FROM members WHERE room = _room AND user_id = _id
        AND role IS NULL AND NOT invited AND banned_until IS NULL AND muted_until IS NULL;
END
$$;
