//! The one task that publishes: many frames per round trip.

use std::sync::Arc;

use futures_util::future::join_all;
use redis::{Pipeline, Value};

use super::{
    Shared,
    connect::Link,
    errors::{Verdict, explain, judge},
    queue::Publication,
    script,
    session::{Session, single},
};

/// Publishes until the queue is closed and empty. One batch is under way at a time, which keeps the order.
pub(super) async fn write(shared: Arc<Shared>) {
    while let Some(batch) = shared.queue.next().await {
        let published = match shared.session() {
            Some(session) => publish(&shared, &session, &batch).await,
            None => vec![false; batch.len()],
        };
        let failed = batch
            .iter()
            .zip(&published)
            .filter(|(_, published)| !**published)
            .map(|(p, _)| p);
        shared.queue.done(&batch, failed);
    }
}

/// Which of the batch were published.
async fn publish(shared: &Shared, session: &Session, batch: &[Publication]) -> Vec<bool> {
    let mut shares: Vec<Share> = session
        .links
        .iter()
        .map(|link| Share {
            link,
            positions: Vec::new(),
            pipeline: Pipeline::new(),
        })
        .collect();
    for (position, publication) in batch.iter().enumerate() {
        add(shared, session, &mut shares, position, publication);
    }
    let mut published = vec![false; batch.len()];
    let cluster = session.topology.cluster;
    for positions in join_all(shares.iter().map(|share| share.send(shared, cluster))).await {
        for position in positions {
            published[position] = true;
        }
    }
    published
}

/// What goes to one server.
struct Share<'a> {
    link: &'a Link,
    /// Positions in the batch, one for each command.
    positions: Vec<usize>,
    pipeline: Pipeline,
}

fn add(shared: &Shared, session: &Session, shares: &mut [Share<'_>], position: usize, p: &Publication) {
    let cluster = session.topology.cluster;
    let channel = shared.names.channel(&p.topic);
    let frame = p
        .payload
        .as_ref()
        .map(|payload| (channel.as_str(), payload.as_ref()));
    let command = match (&p.topic, p.head, frame) {
        (actors::ports::Topic::Room(room), Some(head), frame) => {
            script::publish_with_head(cluster, &shared.names.head_key(room), head, frame)
        }
        (_, _, Some((channel, payload))) => script::publish(cluster, channel, payload),
        (_, _, None) => return,
    };
    let link = session.link_of(&channel).id;
    if let Some(share) = shares.iter_mut().find(|share| share.link.id == link) {
        share.positions.push(position);
        share.pipeline.add_command(command);
    }
}

impl Share<'_> {
    /// The positions of what the server has taken.
    async fn send(&self, shared: &Shared, cluster: bool) -> Vec<usize> {
        if self.pipeline.is_empty() {
            return Vec::new();
        }
        let mut connection = self.link.publisher.clone();
        let answers = match connection
            .send_packed_commands(&self.pipeline, 0, self.pipeline.len())
            .await
        {
            Ok(answers) => answers,
            Err(error) => {
                shared.lost(self.link, &explain(&error));
                return Vec::new();
            }
        };
        let mut taken = Vec::with_capacity(answers.len());
        let mut reload = false;
        for (position, answer) in self.positions.iter().zip(answers) {
            let Value::ServerError(error) = answer else {
                taken.push(*position);
                continue;
            };
            match judge(&error) {
                Verdict::Moved => shared.slots_moved(),
                Verdict::NoScript => reload = true,
                Verdict::Unfit(why) => shared.lost(self.link, &why),
            }
        }
        if reload && let Err(error) = single(self.link, &script::load(cluster)).await {
            shared.lost(self.link, &explain(&error));
        }
        taken
    }
}
