//! What has to be so when everything is over.

use super::{
    facts::Facts,
    judge::Judge,
    violation::{Findings, Kind},
};

impl Judge<'_> {
    /// Everybody has everything, every command was answered, and nothing is stored that nobody sent.
    pub(super) fn end(mut self) {
        let clients: Vec<u32> = self.views.keys().copied().collect();
        for client in clients {
            let Some(mut view) = self.views.remove(&client) else {
                continue;
            };
            for (room, from, to) in view.end_all() {
                let name = &self.facts.rooms[room as usize].name;
                self.findings.add(Kind::Hole, || {
                    format!("client {client} was never shown {from} to {to} of room {name}")
                });
            }
            if !view.finished {
                self.findings.add(Kind::NotFinished, || {
                    format!("the journal of client {client} ends without `finished`")
                });
            }
            for (room, of_room) in &view.rooms {
                let name = &self.facts.rooms[*room as usize].name;
                let stored = self.ledger.and_then(|ledger| ledger.rooms.get(name));
                if let Some(stored) = stored
                    && of_room.position < stored.head
                {
                    self.findings.add(Kind::NotConverged, || {
                        format!(
                            "client {client} has room {name} up to {}, the head is {}",
                            of_room.position, stored.head
                        )
                    });
                }
            }
        }
        unanswered(self.facts, self.findings);
        self.never_sent();
    }

    fn never_sent(&mut self) {
        let Some(ledger) = self.ledger else { return };
        for room in 0..self.facts.rooms.len() {
            let name = self.facts.rooms[room].name.clone();
            let Some(stored) = ledger.rooms.get(&name) else {
                continue;
            };
            let room = u32::try_from(room).unwrap_or(u32::MAX);
            for row in &stored.rows {
                let simulated = self.facts.is_simulated(&row.author);
                if simulated && row.cid.is_some() && self.facts.sent_as(room, row).is_none() {
                    self.findings.add(Kind::NeverSent, || {
                        format!("room {name}: event {} of {} was never sent", row.seq, row.author)
                    });
                }
            }
        }
    }
}

fn unanswered(facts: &Facts, findings: &mut Findings) {
    for ((client, room), sends) in &facts.sends {
        let name = &facts.rooms[*room as usize].name;
        for (cid, sent) in sends {
            if sent.acked.is_none() && !sent.refused {
                findings.add(Kind::Unanswered, || {
                    format!(
                        "client {client}: {:?} {cid} in room {name} was never answered",
                        sent.op
                    )
                });
            }
        }
    }
}
