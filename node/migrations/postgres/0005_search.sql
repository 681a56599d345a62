-- What a room is found by: its name and title in lower case. The node writes it, which knows the letters of all scripts
-- whatever this database's locale; rooms that were there before have what the database knows until they get another title.
ALTER TABLE rooms ADD COLUMN search text COLLATE "C" NOT NULL DEFAULT '';
UPDATE rooms SET search = lower((name || E'\n' || title) COLLATE "default");

-- As before, and a new title comes with its search text.
CREATE OR REPLACE FUNCTION note_rights(_room text, _author text, _author_name text, _at bigint, _kind text, _details json)
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
            title = CASE WHEN _change = 'title' AND json_typeof(_value) = 'string'
                THEN _details ->> 'value' ELSE title END,
            search = coalesce(_details ->> 'search', search),
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
