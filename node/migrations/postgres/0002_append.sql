-- Appends a batch in one round trip: one array for each column, ordered by room (COLLATE "C"), and within a room in
-- the batch's order. Returns for each entry an outcome (0 written, 1 known, 2 not found, 3 forbidden, 4 conflict) with seq and at.
--
-- The room's row lock makes the order. Under READ COMMITTED each statement of a volatile function sees what was
-- committed before it began: so whatever follows the lock sees all events of the room, whoever wrote them.
CREATE FUNCTION append_events(
    _rooms text[], _authors text[], _author_names text[], _cids text[], _kinds text[],
    _texts text[],      -- message, edit
    _targets bigint[],  -- edit, delete, react; of a message what it replies to
    _emojis text[],     -- react
    _flags boolean[],   -- react: given; delete: any author's
    _details text[],    -- member, room
    OUT outcomes smallint[], OUT seqs bigint[], OUT ats bigint[]
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    written CONSTANT smallint := 0;
    known CONSTANT smallint := 1;
    not_found CONSTANT smallint := 2;
    forbidden CONSTANT smallint := 3;
    conflict CONSTANT smallint := 4;
    _room text;
    _exists boolean;
    _old_head bigint;
    _head bigint;
    _now bigint;
    _outcome smallint;
    _seq bigint;
    _at bigint;
    _message record;
    _given boolean;
BEGIN
    outcomes := array_fill(NULL::smallint, ARRAY[cardinality(_rooms)]);
    seqs := array_fill(NULL::bigint, ARRAY[cardinality(_rooms)]);
    ats := array_fill(NULL::bigint, ARRAY[cardinality(_rooms)]);
    FOR i IN 1 .. cardinality(_rooms) LOOP
        IF _room IS DISTINCT FROM _rooms[i] THEN
            IF _head > _old_head THEN
                UPDATE rooms SET head = _head, last_at = _now WHERE name = _room;
            END IF;
            _room := _rooms[i];
            SELECT head, last_at INTO _old_head, _now FROM rooms WHERE name = _room FOR UPDATE;
            _exists := FOUND;
            _head := _old_head;
            _now := greatest(_now, unix_ms());
        END IF;

        _outcome := written;
        IF NOT _exists THEN
            _outcome := not_found;
        ELSIF _kinds[i] = 'message' AND _targets[i] IS NULL THEN
            -- By far the most frequent: look-up and insert in one statement.
            INSERT INTO events (room, seq, author, author_name, cid, at, kind, text)
            VALUES (_room, _head + 1, _authors[i], _author_names[i], _cids[i], _now, 'message', _texts[i])
            ON CONFLICT (room, author, cid) WHERE cid IS NOT NULL DO NOTHING;
            IF FOUND THEN
                _head := _head + 1;
                _seq := _head;
                _at := _now;
            ELSE
                _outcome := known;
                SELECT seq, at INTO _seq, _at FROM events
                WHERE room = _room AND author = _authors[i] AND cid = _cids[i];
            END IF;
        ELSE
            SELECT seq, at INTO _seq, _at FROM events
            WHERE room = _room AND author = _authors[i] AND cid = _cids[i];
            IF FOUND THEN
                _outcome := known;
            ELSIF _targets[i] IS NOT NULL THEN
                SELECT author, deleted_by, edited_by INTO _message FROM events
                WHERE room = _room AND seq = _targets[i] AND kind = 'message';
                IF NOT FOUND THEN
                    _outcome := not_found;
                ELSIF _message.deleted_by IS NOT NULL AND _kinds[i] = 'delete' THEN
                    _outcome := known;
                    SELECT seq, at INTO _seq, _at FROM events WHERE room = _room AND seq = _message.deleted_by;
                ELSIF _message.deleted_by IS NOT NULL AND _kinds[i] <> 'message' THEN
                    _outcome := not_found;
                ELSIF _message.author <> _authors[i]
                    AND (_kinds[i] = 'edit' OR _kinds[i] = 'delete' AND NOT _flags[i]) THEN
                    _outcome := forbidden;
                ELSIF _kinds[i] = 'react' THEN
                    SELECT given, seq, at INTO _given, _seq, _at FROM reactions
                    WHERE room = _room AND target = _targets[i] AND author = _authors[i] AND emoji = _emojis[i];
                    IF FOUND AND _given = _flags[i] THEN
                        _outcome := known;
                    ELSIF NOT FOUND AND NOT _flags[i] THEN
                        _outcome := not_found;
                    END IF;
                END IF;
            END IF;

            IF _outcome = written AND _kinds[i] = 'member' AND would_lose_its_owner(_room, _details[i]::json) THEN
                _outcome := conflict;
            END IF;

            IF _outcome = written THEN
                _head := _head + 1;
                _seq := _head;
                _at := _now;
                INSERT INTO events (room, seq, author, author_name, cid, at, kind, text, reply_to, target, emoji,
                                    given, details)
                VALUES (_room, _seq, _authors[i], _author_names[i], _cids[i], _at, _kinds[i], _texts[i],
                        CASE _kinds[i] WHEN 'message' THEN _targets[i] END,
                        CASE _kinds[i] WHEN 'message' THEN NULL ELSE _targets[i] END,
                        _emojis[i], CASE _kinds[i] WHEN 'react' THEN _flags[i] END, _details[i]);
                CASE _kinds[i]
                WHEN 'edit' THEN
                    UPDATE events SET text = NULL WHERE room = _room AND seq = _message.edited_by;
                    UPDATE events SET text = _texts[i], edited_at = _at, edited_by = _seq
                    WHERE room = _room AND seq = _targets[i];
                WHEN 'delete' THEN
                    UPDATE events SET text = NULL WHERE room = _room AND seq = _message.edited_by;
                    UPDATE events SET text = '', edited_by = NULL, deleted_by = _seq
                    WHERE room = _room AND seq = _targets[i];
                WHEN 'react' THEN
                    INSERT INTO reactions (room, target, author, emoji, given, seq, at)
                    VALUES (_room, _targets[i], _authors[i], _emojis[i], _flags[i], _seq, _at)
                    ON CONFLICT (room, target, author, emoji)
                    DO UPDATE SET given = excluded.given, seq = excluded.seq, at = excluded.at;
                WHEN 'member', 'room' THEN
                    PERFORM note_rights(_room, _authors[i], _author_names[i], _at, _kinds[i], _details[i]::json);
                ELSE NULL;
                END CASE;
            END IF;
        END IF;

        outcomes[i] := _outcome;
        IF _outcome IN (written, known) THEN
            seqs[i] := _seq;
            ats[i] := _at;
        END IF;
    END LOOP;
    IF _head > _old_head THEN
        UPDATE rooms SET head = _head, last_at = _now WHERE name = _room;
    END IF;
END
$$;
