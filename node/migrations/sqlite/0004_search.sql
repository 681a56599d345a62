-- What a room is found by: its name and title in lower case. The node writes it, which knows the letters of all scripts;
-- of rooms that were there before, those of ASCII are enough until they get another title.
ALTER TABLE rooms ADD COLUMN search TEXT NOT NULL DEFAULT '';
UPDATE rooms SET search = lower(name || char(10) || title);
