//! The task that keeps the bus up.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use actors::ports::BusEvent;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use redis::{RedisError, Value};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    Shared,
    connect::{Inbox, Link},
    errors::{Verdict, judge},
    interest::{LinkId, Request},
    session::Session,
    topology::Address,
};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A session that lasts this long was a success: after it the pauses begin anew.
const LASTING: Duration = Duration::from_secs(5);
/// The least time between two questions about the cluster's slots.
const REFRESH_EVERY: Duration = Duration::from_millis(100);
/// How many subscriptions go into one round trip.
const REQUESTS_AT_ONCE: usize = 1_000;
/// How long a cluster may take to agree on who serves a room before all connections are opened anew.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);
/// The least time between two log lines that say the bus is still down.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Connects, again and again, until the bus is closed.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    let mut known = Vec::new();
    let mut log = Log::default();
    let inbox: Arc<dyn Inbox> = Arc::clone(&shared) as _;
    let mut end = pin!(shared.end.cancelled());
    loop {
        let begun = Instant::now();
        let outcome = tokio::select! {
            () = &mut end => break,
            outcome = attempt(&shared, &inbox, &mut known, &mut log) => outcome,
        };
        go_down(&shared, &outcome);
        log.down(&outcome);
        if outcome.was_up && begun.elapsed() >= LASTING {
            pause = FIRST_PAUSE;
        }
        tokio::select! {
            () = &mut end => break,
            () = sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    let mut state = shared.state.lock();
    state.session = None;
    state.down_because = "it was closed".into();
}

/// How a session ended.
struct Outcome {
    was_up: bool,
    why: String,
}

fn go_down(shared: &Shared, outcome: &Outcome) {
    let mut state = shared.state.lock();
    state.session = None;
    state.down_because.clone_from(&outcome.why);
    drop(state);
    shared.queue.shut();
    if outcome.was_up {
        shared.reports.send(BusEvent::Down);
    }
}

async fn attempt(
    shared: &Shared,
    inbox: &Arc<dyn Inbox>,
    known: &mut Vec<Address>,
    log: &mut Log,
) -> Outcome {
    match Box::pin(Session::open(&shared.connector, &shared.names, inbox, known)).await {
        Ok(session) => {
            let mut keeping = Keeping::new(shared, inbox, session);
            let why = keeping.run(log).await;
            if keeping.session.topology.cluster {
                known.clone_from(&keeping.session.topology.nodes);
            }
            Outcome {
                was_up: keeping.up,
                why,
            }
        }
        Err(why) => Outcome { was_up: false, why },
    }
}

/// One session, from its first subscription to its loss.
struct Keeping<'a> {
    shared: &'a Shared,
    inbox: &'a Arc<dyn Inbox>,
    session: Arc<Session>,
    up: bool,
    work: FuturesUnordered<BoxFuture<'a, Done>>,
    probing: bool,
    /// The slots are being asked for.
    refreshing: bool,
    refreshes: usize,
    /// Since when some topic has no server that would take it.
    unsettled_since: Option<Instant>,
}

/// A piece of work that has ended.
enum Done {
    /// What Redis answered to these requests, all of one link.
    Asked(LinkId, Vec<Request>, Result<Vec<Value>, RedisError>),
    Probed(Result<bool, String>),
    Refreshed(Result<Session, String>),
    /// It is time to look for what never got an answer.
    Ticked,
}

impl<'a> Keeping<'a> {
    fn new(shared: &'a Shared, inbox: &'a Arc<dyn Inbox>, session: Session) -> Self {
        shared.interest.lock().begin();
        shared.state.lock().slots_moved = false;
        Self {
            shared,
            inbox,
            session: Arc::new(session),
            up: false,
            work: FuturesUnordered::new(),
            probing: false,
            refreshing: false,
            refreshes: 0,
            unsettled_since: None,
        }
    }

    /// Returns why it ended.
    async fn run(&mut self, log: &mut Log) -> String {
        let mut tick = interval(self.shared.config.ping_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Some(why) = self.step(log) {
                return why;
            }
            let done = tokio::select! {
                () = self.shared.changed.notified() => continue,
                Some(done) = self.work.next() => done,
                _ = tick.tick() => {
                    self.probe();
                    Done::Ticked
                }
            };
            if let Err(why) = self.take(done) {
                return why;
            }
        }
    }

    /// Does what can be done without waiting. Returns why the session has ended, if it has.
    fn step(&mut self, log: &mut Log) -> Option<String> {
        let lost = std::mem::take(&mut self.shared.state.lock().lost);
        if let Some((_, why)) = lost
            .into_iter()
            .find(|(link, _)| self.session.link(*link).is_some())
        {
            return Some(why);
        }
        if !self.refreshing && std::mem::take(&mut self.shared.state.lock().slots_moved) {
            self.refresh();
        }
        if !self.refreshing {
            self.ask();
        }
        if self.shared.interest.lock().settled() {
            self.unsettled_since = None;
            if !self.up {
                self.go_up(log);
            }
        }
        None
    }

    fn go_up(&mut self, log: &mut Log) {
        self.up = true;
        self.shared.state.lock().session = Some(Arc::clone(&self.session));
        self.shared.queue.open();
        self.shared.reports.send(BusEvent::Up);
        log.up(&self.session);
    }

    /// Says to Redis what has changed.
    fn ask(&mut self) {
        let session = &self.session;
        let mut requests = self
            .shared
            .interest
            .lock()
            .requests(|topic| session.link_of_topic(topic), Instant::now());
        requests.sort_by_key(|request| request.link);
        for of_link in requests.chunk_by(|a, b| a.link == b.link) {
            let Some(link) = self.session.link(of_link[0].link) else {
                // The server that ended this topic's subscription is gone, and the subscription with it.
                let mut interest = self.shared.interest.lock();
                for request in of_link {
                    interest.unsubscribed(&request.topic, request.link);
                }
                continue;
            };
            for requests in of_link.chunks(REQUESTS_AT_ONCE) {
                self.work.push(Box::pin(send(
                    Arc::clone(link),
                    Arc::clone(&self.session),
                    requests.to_vec(),
                )));
            }
        }
    }

    fn probe(&mut self) {
        if !std::mem::replace(&mut self.probing, true) {
            let session = Arc::clone(&self.session);
            self.work
                .push(Box::pin(async move { Done::Probed(session.probe().await) }));
        }
    }

    fn refresh(&mut self) {
        self.refreshing = true;
        self.refreshes += 1;
        let (session, ask) = (Arc::clone(&self.session), self.refreshes);
        let (connector, inbox) = (&self.shared.connector, self.inbox);
        self.work.push(Box::pin(async move {
            sleep(REFRESH_EVERY).await;
            Done::Refreshed(session.refreshed(ask, connector, inbox).await)
        }));
    }

    /// Takes note of what has ended.
    ///
    /// # Errors
    /// Why the session has ended.
    fn take(&mut self, done: Done) -> Result<(), String> {
        match done {
            Done::Probed(result) => {
                self.probing = false;
                if !result? {
                    self.shared.slots_moved();
                }
                Ok(())
            }
            Done::Refreshed(session) => {
                self.refreshing = false;
                self.replace(session?);
                Ok(())
            }
            Done::Asked(link, requests, answers) => self.answered(link, &requests, answers),
            Done::Ticked => self.look_for_overdue(),
        }
    }

    fn answered(
        &mut self,
        link: LinkId,
        requests: &[Request],
        answers: Result<Vec<Value>, RedisError>,
    ) -> Result<(), String> {
        let Some(link) = self.session.link(link).cloned() else {
            return Ok(());
        };
        let answers = answers.map_err(|error| super::connect::at(&link.address, &error))?;
        for (request, answer) in requests.iter().zip(answers) {
            let Value::ServerError(error) = answer else {
                continue;
            };
            match judge(&error) {
                Verdict::Moved => {
                    self.shared.interest.lock().refused(request);
                    self.unsettled()?;
                }
                Verdict::NoScript => {}
                Verdict::Unfit(why) => return Err(format!("Redis at {}: {why}", link.address)),
            }
        }
        Ok(())
    }

    fn replace(&mut self, session: Session) {
        self.session = Arc::new(session);
        if self.up {
            self.shared.state.lock().session = Some(Arc::clone(&self.session));
        }
        let session = &self.session;
        self.shared.interest.lock().reroute(
            |topic| session.link_of_topic(topic),
            |link| session.link(link).is_none(),
        );
    }

    /// Asks again for what Redis has not confirmed in time. That happens where a slot moves: the subscription that
    /// ends by it is announced in between the answers, which then can no longer be told apart.
    fn look_for_overdue(&mut self) -> Result<(), String> {
        let since = Instant::now() - self.shared.config.response_timeout;
        if !self.shared.interest.lock().withdraw_before(since) {
            return Ok(());
        }
        if self.session.topology.cluster {
            self.unsettled()
        } else {
            Err(format!(
                "Redis at {}: it does not confirm subscriptions",
                self.session.topology.nodes[0]
            ))
        }
    }

    /// Some topic has no server that would take it: asks who serves what.
    ///
    /// # Errors
    /// When that has gone on for too long.
    fn unsettled(&mut self) -> Result<(), String> {
        self.shared.slots_moved();
        if self.unsettled_since.get_or_insert_with(Instant::now).elapsed() > SETTLE_WITHIN {
            return Err("the servers of the Redis Cluster do not agree on who serves what".into());
        }
        Ok(())
    }
}

/// Puts the requests of one link on its subscribing connection.
async fn send(link: Arc<Link>, session: Arc<Session>, requests: Vec<Request>) -> Done {
    let commands = session.subscription_commands(&requests);
    let answers = link
        .subscriber
        .clone()
        .send_packed_commands(&commands, 0, requests.len())
        .await;
    Done::Asked(link.id, requests, answers)
}

/// Says when the bus goes up or down, and not each time that it tries.
#[derive(Debug, Default)]
struct Log {
    down: Option<(String, Instant)>,
}

impl Log {
    fn up(&mut self, session: &Session) {
        self.down = None;
        let servers: Vec<String> = session.topology.nodes.iter().map(ToString::to_string).collect();
        let kind = if session.topology.cluster {
            "a cluster"
        } else {
            "one server"
        };
        tracing::info!(redis = servers.join(" "), "the bus is up: Redis is {kind}");
    }

    fn down(&mut self, outcome: &Outcome) {
        let why = &outcome.why;
        match &self.down {
            Some((known, at)) if known == why || at.elapsed() < LOG_EVERY => return,
            Some(_) => tracing::warn!("the bus is still down: {why}"),
            None => tracing::warn!("the bus is down, and this node keeps trying: {why}"),
        }
        self.down = Some((why.clone(), Instant::now()));
    }
}
