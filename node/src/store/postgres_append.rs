//! Appending to Postgres: one call of the function `append_events` (`migrations/postgres`).

use actors::ports::{Append, Outcome, Refusal, StoreError};

use super::{
    errors::classify,
    rows::{NewEvent, unsigned},
};

/// Columns of a batch, as the function takes them.
#[derive(Default)]
struct Columns {
    rooms: Vec<String>,
    authors: Vec<String>,
    author_names: Vec<String>,
    cids: Vec<Option<String>>,
    kinds: Vec<&'static str>,
    texts: Vec<Option<String>>,
    targets: Vec<Option<i64>>,
    emojis: Vec<Option<String>>,
    flags: Vec<Option<bool>>,
    details: Vec<Option<String>>,
}

impl Columns {
    fn push(&mut self, append: &Append) -> Result<(), StoreError> {
        let event = NewEvent::new(append)?;
        self.rooms.push(append.room.to_string());
        self.authors.push(append.author.id.to_string());
        self.author_names.push(append.author.name.to_string());
        self.cids.push(append.cid.as_ref().map(ToString::to_string));
        self.kinds.push(event.kind);
        self.texts.push(event.text);
        self.targets.push(event.target);
        self.emojis.push(event.emoji);
        self.flags.push(event.flag);
        self.details.push(event.details);
        Ok(())
    }
}

type Outcomes = (Vec<i16>, Vec<Option<i64>>, Vec<Option<i64>>);

/// Commits a batch with one statement: in a transaction of its own, or within that of the caller.
pub(super) async fn append(
    executor: impl sqlx::PgExecutor<'_>,
    batch: &[Append],
) -> Result<Vec<Outcome>, StoreError> {
    // Rooms are locked in the order of their names; the sort keeps the batch's order within a room.
    let mut order: Vec<usize> = (0..batch.len()).collect();
    order.sort_by(|a, b| batch[*a].room.cmp(&batch[*b].room));
    let mut columns = Columns::default();
    for index in &order {
        columns.push(&batch[*index])?;
    }
    let sql = "SELECT outcomes, seqs, ats FROM append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let (codes, seqs, ats): Outcomes = sqlx::query_as(sql)
        .bind(columns.rooms)
        .bind(columns.authors)
        .bind(columns.author_names)
        .bind(columns.cids)
        .bind(columns.kinds)
        .bind(columns.texts)
        .bind(columns.targets)
        .bind(columns.emojis)
        .bind(columns.flags)
        .bind(columns.details)
        .fetch_one(executor)
        .await
        .map_err(classify)?;
    let mut outcomes = vec![Outcome::Refused(Refusal::NotFound); batch.len()];
    for (position, index) in order.into_iter().enumerate() {
        let number = |column: &[Option<i64>]| unsigned(column.get(position).copied().flatten().unwrap_or(0));
        outcomes[index] = match codes.get(position) {
            Some(0) => Outcome::Written {
                seq: number(&seqs),
                at: number(&ats),
            },
            Some(1) => Outcome::Known {
                seq: number(&seqs),
                at: number(&ats),
            },
            Some(2) => Outcome::Refused(Refusal::NotFound),
            Some(3) => Outcome::Refused(Refusal::Forbidden),
            Some(4) => Outcome::Refused(Refusal::Conflict),
            code => return Err(StoreError::Internal(format!("append_events returned {code:?}"))),
        };
    }
    Ok(outcomes)
}
