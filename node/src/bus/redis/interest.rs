//! What the node listens to, what Redis has confirmed, and what is to be said to Redis next.
//!
//! Confirmations are taken from the pushed messages, which name their channel, and not from the order of the answers:
//! a server that gives a slot away ends subscriptions unasked, and answers can then no longer be counted.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use actors::ports::Topic;

/// Names one pair of connections to one server; never used twice.
pub(super) type LinkId = u64;

/// The state of every topic. At most one command per topic is under way.
#[derive(Debug, Default)]
pub(super) struct Interest {
    topics: HashMap<Topic, Entry>,
    /// Topics to look at: what Redis has confirmed may differ from what is wanted.
    dirty: HashSet<Topic>,
    asked: usize,
}

#[derive(Debug, Default)]
struct Entry {
    wanted: bool,
    /// Someone waits for the report that the subscription is in force.
    report: bool,
    in_force: Option<LinkId>,
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    link: LinkId,
    subscribe: bool,
    report: bool,
    at: Instant,
}

/// Something to say to Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) link: LinkId,
    pub(super) topic: Topic,
    pub(super) subscribe: bool,
}

impl Interest {
    /// The node begins to listen.
    pub(super) fn want(&mut self, topic: Topic) {
        let entry = self.topics.entry(topic.clone()).or_default();
        entry.wanted = true;
        entry.report = true;
        self.dirty.insert(topic);
    }

    /// The node ends listening.
    pub(super) fn unwant(&mut self, topic: &Topic) {
        if let Some(entry) = self.topics.get_mut(topic) {
            entry.wanted = false;
            entry.report = false;
            self.dirty.insert(topic.clone());
        }
    }

    /// All connections are new: nothing is in force.
    pub(super) fn begin(&mut self) {
        self.topics.retain(|_, entry| entry.wanted);
        for entry in self.topics.values_mut() {
            entry.in_force = None;
            if let Some(asked) = entry.asked.take() {
                entry.report |= asked.report;
            }
        }
        self.asked = 0;
        self.dirty = self.topics.keys().cloned().collect();
    }

    /// Slots have other servers: looks again at every topic that is not where `link_of` says, at all that lived on
    /// a link that is gone.
    pub(super) fn reroute(&mut self, link_of: impl Fn(&Topic) -> LinkId, gone: impl Fn(LinkId) -> bool) {
        for (topic, entry) in &mut self.topics {
            entry.in_force = entry.in_force.filter(|link| !gone(*link));
            if entry.asked.as_ref().is_some_and(|asked| gone(asked.link)) {
                entry.withdraw();
                self.asked -= 1;
            }
            if entry.in_force != Some(link_of(topic)) {
                // Who listens does not know that it may have been deaf for a moment.
                entry.report |= entry.wanted;
                self.dirty.insert(topic.clone());
            }
        }
    }

    /// What to say next. The caller says it, and reports the outcome with one of the methods below.
    pub(super) fn requests(&mut self, link_of: impl Fn(&Topic) -> LinkId, now: Instant) -> Vec<Request> {
        let mut requests = Vec::new();
        for topic in std::mem::take(&mut self.dirty) {
            let Some(entry) = self.topics.get_mut(&topic) else {
                continue;
            };
            if entry.asked.is_some() {
                continue;
            }
            let (link, subscribe) = match (entry.wanted, entry.in_force) {
                (true, in_force) => {
                    let link = link_of(&topic);
                    if in_force == Some(link) && !entry.report {
                        continue;
                    }
                    (link, true)
                }
                (false, Some(link)) => (link, false),
                (false, None) => {
                    self.topics.remove(&topic);
                    continue;
                }
            };
            let report = std::mem::take(&mut entry.report);
            entry.asked = Some(Asked {
                link,
                subscribe,
                report,
                at: now,
            });
            self.asked += 1;
            requests.push(Request {
                link,
                topic,
                subscribe,
            });
        }
        requests
    }

    /// Redis says that a subscription is in force. True if that is to be reported to the node.
    pub(super) fn subscribed(&mut self, topic: &Topic, link: LinkId) -> bool {
        let entry = self.topics.entry(topic.clone()).or_default();
        entry.in_force = Some(link);
        let mut report = false;
        if let Some(asked) = entry.asked.take_if(|asked| asked.subscribe && asked.link == link) {
            self.asked -= 1;
            report = asked.report && entry.wanted;
        }
        if !entry.wanted || entry.report {
            self.dirty.insert(topic.clone());
        }
        report
    }

    /// Redis says that a subscription has ended, asked or unasked. True if it was unasked.
    pub(super) fn unsubscribed(&mut self, topic: &Topic, link: LinkId) -> bool {
        let Some(entry) = self.topics.get_mut(topic) else {
            return false;
        };
        entry.in_force = entry.in_force.filter(|other| *other != link);
        let asked = entry
            .asked
            .take_if(|asked| !asked.subscribe && asked.link == link);
        if asked.is_some() {
            self.asked -= 1;
        } else if entry.wanted {
            // As in `reroute`.
            entry.report = true;
        }
        self.dirty.insert(topic.clone());
        asked.is_none() && entry.wanted
    }

    /// Redis has refused a request.
    pub(super) fn refused(&mut self, request: &Request) {
        if let Some(entry) = self.topics.get_mut(&request.topic)
            && entry
                .asked
                .as_ref()
                .is_some_and(|a| a.link == request.link && a.subscribe == request.subscribe)
        {
            entry.withdraw();
            self.asked -= 1;
            self.dirty.insert(request.topic.clone());
        }
    }

    /// Everything wanted is in force and everything else has ended.
    pub(super) fn settled(&self) -> bool {
        self.dirty.is_empty() && self.asked == 0
    }

    /// Looks again at topics with a request from before `limit` that nobody has confirmed. True if there are any.
    pub(super) fn withdraw_before(&mut self, limit: Instant) -> bool {
        let before = self.asked;
        for (topic, entry) in &mut self.topics {
            if entry.asked.as_ref().is_some_and(|asked| asked.at < limit) {
                entry.withdraw();
                self.asked -= 1;
                self.dirty.insert(topic.clone());
            }
        }
        self.asked < before
    }
}

impl Entry {
    fn withdraw(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.report |= asked.report;
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::RoomName;

    use super::*;

    const LINK: LinkId = 1;

    fn topic(name: &str) -> Topic {
        Topic::Room(RoomName::new(name).unwrap())
    }

    fn next(interest: &mut Interest, link: LinkId) -> Vec<(Topic, bool)> {
        let requests = interest.requests(|_| link, Instant::now());
        requests.into_iter().map(|r| (r.topic, r.subscribe)).collect()
    }

    #[test]
    fn one_command_per_topic_is_under_way_and_the_last_wish_wins() {
        let (mut interest, a) = (Interest::default(), topic("a"));
        interest.want(a.clone());
        assert_eq!(next(&mut interest, LINK), [(a.clone(), true)]);
        interest.unwant(&a);
        interest.want(a.clone());
        interest.unwant(&a);
        assert_eq!(next(&mut interest, LINK), []);
        assert!(!interest.settled());
        assert!(!interest.subscribed(&a, LINK), "nobody listens any more");
        assert_eq!(next(&mut interest, LINK), [(a.clone(), false)]);
        assert!(!interest.unsubscribed(&a, LINK));
        assert_eq!(next(&mut interest, LINK), []);
        assert!(interest.settled() && interest.topics.is_empty());
    }

    #[test]
    fn each_repeated_wish_is_reported() {
        let (mut interest, a) = (Interest::default(), topic("a"));
        interest.want(a.clone());
        assert_eq!(next(&mut interest, LINK).len(), 1);
        interest.want(a.clone());
        assert!(interest.subscribed(&a, LINK));
        assert_eq!(
            next(&mut interest, LINK),
            [(a.clone(), true)],
            "the second wish came after the command"
        );
        assert!(interest.subscribed(&a, LINK));
        assert!(
            !interest.subscribed(&a, LINK),
            "a stray confirmation is not reported"
        );
        assert!(interest.settled());
    }

    #[test]
    fn new_connections_begin_from_nothing() {
        let mut interest = Interest::default();
        let (a, b, c) = (topic("a"), topic("b"), topic("c"));
        for topic in [&a, &b, &c] {
            interest.want(topic.clone());
        }
        next(&mut interest, LINK);
        interest.subscribed(&a, LINK);
        interest.subscribed(&b, LINK);
        interest.unwant(&b);
        interest.begin();
        assert_eq!(next(&mut interest, 2).len(), 2);
        assert!(!interest.subscribed(&a, 2), "was reported before");
        assert!(interest.subscribed(&c, 2), "was never reported");
        assert!(interest.settled());
    }

    #[test]
    fn a_subscription_that_ended_unasked_is_renewed_and_reported() {
        let (mut interest, a) = (Interest::default(), topic("a"));
        interest.want(a.clone());
        next(&mut interest, LINK);
        assert!(interest.subscribed(&a, LINK));
        assert!(interest.unsubscribed(&a, LINK));
        assert_eq!(next(&mut interest, 2), [(a.clone(), true)]);
        assert!(interest.subscribed(&a, 2));
        assert!(!interest.unsubscribed(&topic("b"), 2));
        assert!(interest.settled());
    }

    #[test]
    fn refusals_and_moves_are_asked_again() {
        let (mut interest, a) = (Interest::default(), topic("a"));
        interest.want(a.clone());
        let requests = interest.requests(|_| LINK, Instant::now());
        interest.refused(&requests[0]);
        interest.refused(&requests[0]);
        assert_eq!(next(&mut interest, LINK).len(), 1);
        assert!(interest.withdraw_before(Instant::now() + std::time::Duration::from_secs(1)));
        assert!(!interest.withdraw_before(Instant::now() + std::time::Duration::from_secs(1)));
        assert_eq!(next(&mut interest, LINK).len(), 1);
        interest.reroute(|_| 2, |link| link == LINK);
        assert_eq!(next(&mut interest, 2), [(a.clone(), true)]);
        assert!(interest.subscribed(&a, 2));
        interest.reroute(|_| 2, |_| false);
        assert!(interest.settled());
        interest.reroute(|_| 3, |_| false);
        assert_eq!(next(&mut interest, 3), [(a, true)]);
    }
}
