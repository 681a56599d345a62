//! What people want of a cluster.

use super::work::{Kind, Work, heads, spread};

/// People, and what they do.
#[derive(Debug, Clone, Copy, PartialEq, clap::Args)]
pub struct Load {
    /// People who use it.
    #[arg(long, default_value_t = 1_000_000.0, value_parser = positive)]
    pub people: f64,
    /// Share of them that is connected in the busiest hour.
    #[arg(long, default_value_t = 0.3, value_parser = share)]
    pub online: f64,
    /// Rooms that each is in.
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    pub rooms_per_person: f64,
    /// People of the room that a message is written in, in the mean over messages, whether connected or not.
    #[arg(long, default_value_t = 50.0, value_parser = positive)]
    pub people_per_room: f64,
    /// Messages, edits and reactions that somebody who is connected writes in the busiest hour.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    pub messages_per_person_hour: f64,
    /// Notices that somebody types, for each message.
    #[arg(long, default_value_t = 1.0, value_parser = not_negative)]
    pub typing_per_message: f64,
    /// Read markers that are set by all who read a message.
    #[arg(long, default_value_t = 2.0, value_parser = not_negative)]
    pub reads_per_message: f64,
    /// Rooms that somebody who connects opens by `join`, as clients do that remember nothing; resumed rooms are part of the
    /// connection.
    #[arg(long, default_value_t = 0.0, value_parser = not_negative)]
    pub joins_per_connection: f64,
    /// Pages of history that somebody who connects reads.
    #[arg(long, default_value_t = 1.0, value_parser = not_negative)]
    pub pages_per_connection: f64,
    /// The busiest hour, in hours of the mean.
    #[arg(long, default_value_t = 2.5, value_parser = positive)]
    pub peak: f64,
    /// How long a connection stays open, in minutes.
    #[arg(long, default_value_t = 20.0, value_parser = positive)]
    pub session_minutes: f64,
    /// How long messages are kept, in days.
    #[arg(long, default_value_t = 365.0, value_parser = positive)]
    pub keep_days: f64,
}

impl Load {
    /// Connections in the busiest hour.
    pub fn connections(&self) -> f64 {
        self.people * self.online
    }

    /// People of a message's room that are connected.
    pub fn audience(&self) -> f64 {
        (self.people_per_room * self.online).max(1.0)
    }

    /// Rooms with somebody connected.
    pub fn rooms(&self) -> f64 {
        (self.connections() * self.rooms_per_person / self.audience()).max(1.0)
    }

    /// Messages a second in the busiest hour.
    pub fn messages(&self) -> f64 {
        self.connections() * self.messages_per_person_hour / 3600.0
    }

    /// Messages of a month.
    pub fn messages_a_month(&self) -> f64 {
        self.messages() / self.peak * 3600.0 * super::prices::HOURS
    }

    /// On how many nodes a room is.
    pub fn nodes_of_a_room(&self, nodes: f64) -> f64 {
        spread(nodes, self.audience())
    }

    /// What so many nodes do together in a second of the busiest hour.
    pub fn work(&self, nodes: f64) -> Work {
        let on = self.nodes_of_a_room(nodes);
        let (of_store, of_bus) = heads(self.rooms() * on / nodes);
        let mut work = Work::default();
        work[Kind::Node] = nodes;
        work[Kind::Connect] = self.connections() / (self.session_minutes * 60.0);
        work[Kind::Join] = work[Kind::Connect] * self.joins_per_connection;
        work[Kind::Open] = self.connections();
        work[Kind::Commit] = self.messages();
        work[Kind::Copy] = self.messages() * (on - 1.0).max(0.0);
        work[Kind::Delivery] = self.messages() * self.audience();
        work[Kind::Notice] = work[Kind::Delivery] * self.typing_per_message;
        work[Kind::Read] = work[Kind::Commit] * self.reads_per_message;
        work[Kind::Page] = work[Kind::Connect] * self.pages_per_connection;
        work[Kind::StoreHead] = of_store * nodes;
        work[Kind::BusHead] = of_bus * nodes;
        work
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.replace(['_', ','], "").parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("a number above 0".into()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value),
        _ => Err("a number, 0 or more".into()),
    }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err("a share: above 0, and 1 at most".into()),
    }
}
