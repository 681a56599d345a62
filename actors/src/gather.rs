//! Questions to the store, many in one query: when a fleet comes at once, everybody's are asked for.

use std::{collections::HashMap, future::Future, hash::Hash, pin::Pin, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};

use crate::{guarded::CALL_TIMEOUT, pace::Pace, ports::StoreError};

/// A query that takes longer holds up nobody else: the next begins beside it. The store answers each within
/// [`CALL_TIMEOUT`], so that there are never more than eight.
const PATIENCE: Duration = Duration::from_secs(1);
/// What is told while so many questions wait is lost.
const MOST_TOLD: usize = 10_000;

/// Asks the store all of these at once; the answers are in the order of the questions.
type Ask<Q, A> =
    dyn Fn(Vec<Q>) -> Pin<Box<dyn Future<Output = Result<Vec<A>, StoreError>> + Send>> + Send + Sync;

/// A node's one asker of a kind of question. Every question is answered by a query that began after it was asked, so that
/// the answer includes all that was committed before; those who ask the same meanwhile share a query. Questions go out in
/// the order in which they came, so that a simulation can be repeated. Cheap to clone.
pub(crate) struct Gather<Q, A> {
    io: Handle,
    at_once: usize,
    ask: Arc<Ask<Q, A>>,
    waiting: Arc<Mutex<Waiting<Q, A>>>,
}

/// Bounded by those who ask, each of whom asks once at a time, and by [`MOST_TOLD`].
struct Waiting<Q, A> {
    questions: Vec<(Q, Asker<A>)>,
    asking: bool,
}

/// Whom to answer; `None`: nobody.
type Asker<A> = Option<oneshot::Sender<Result<A, StoreError>>>;

/// Questions, and who asks each; in the order in which they came.
type Batch<Q, A> = (Vec<Q>, Vec<Vec<Asker<A>>>);

impl<Q, A> Gather<Q, A>
where
    Q: Clone + Eq + Hash + Send + 'static,
    A: Clone + Send + 'static,
{
    /// `ask` is called on `io`, with at most `at_once` questions, no two the same.
    pub(crate) fn new<F>(
        io: &Handle,
        at_once: usize,
        ask: impl Fn(Vec<Q>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Vec<A>, StoreError>> + Send + 'static,
    {
        Self {
            io: io.clone(),
            at_once,
            ask: Arc::new(move |questions| Box::pin(ask(questions))),
            waiting: Arc::new(Mutex::new(Waiting {
                questions: Vec::new(),
                asking: false,
            })),
        }
    }

    /// The answer, within [`CALL_TIMEOUT`]. Cancel safe: a question that nobody waits for any more is not asked.
    ///
    /// # Errors
    /// When the store fails, or is late.
    pub(crate) async fn ask(&self, question: Q) -> Result<A, StoreError> {
        let (asker, answer) = oneshot::channel();
        self.add(question, Some(asker));
        match timeout(CALL_TIMEOUT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Down("the query was broken off".to_owned())),
            Err(_) => Err(StoreError::Timeout(format!("no answer within {CALL_TIMEOUT:?}"))),
        }
    }

    /// Asks for the sake of asking. Should the store fail, or too many wait, nobody knows.
    pub(crate) fn tell(&self, question: Q) {
        if self.waiting.lock().questions.len() < MOST_TOLD {
            self.add(question, None);
        }
    }

    /// How many questions wait for a query.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.lock().questions.len()
    }

    fn add(&self, question: Q, asker: Asker<A>) {
        let mut waiting = self.waiting.lock();
        waiting.questions.push((question, asker));
        if !waiting.asking {
            waiting.asking = true;
            self.io.spawn(self.clone().run());
        }
    }

    async fn run(self) {
        let mut pace = Pace::new();
        while let Some(batch) = self.take() {
            let asked = batch.1.iter().map(Vec::len).sum();
            let is_full = batch.0.len() == self.at_once;
            let next = Instant::now() + pace.next(asked);
            let answering = self.io.spawn(self.clone().answer(batch));
            // Ended or not, there are others.
            let _ = timeout(PATIENCE, answering).await;
            // Those who did not get into a full query gain nothing by waiting for others.
            if !is_full || self.waiting() < self.at_once {
                sleep_until(next).await;
            }
        }
    }

    /// The next questions, those that wait for longest first.
    fn take(&self) -> Option<Batch<Q, A>> {
        let mut waiting = self.waiting.lock();
        let (mut questions, mut askers) = Batch::default();
        let mut places: HashMap<Q, usize> = HashMap::new();
        for (question, asker) in std::mem::take(&mut waiting.questions) {
            // Who asked may have gone.
            if asker.as_ref().is_some_and(oneshot::Sender::is_closed) {
                continue;
            }
            if let Some(place) = places.get(&question) {
                askers[*place].push(asker);
            } else if questions.len() < self.at_once {
                places.insert(question.clone(), questions.len());
                questions.push(question);
                askers.push(vec![asker]);
            } else {
                waiting.questions.push((question, asker));
            }
        }
        waiting.asking = !questions.is_empty();
        waiting.asking.then_some((questions, askers))
    }

    async fn answer(self, (questions, askers): Batch<Q, A>) {
        let answers = match (self.ask)(questions).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error); askers.len()],
        };
        for (askers, answer) in askers.into_iter().zip(answers) {
            let mut askers = askers.into_iter().flatten();
            let last = askers.next_back();
            for asker in askers {
                let _ = asker.send(answer.clone());
            }
            last.map(|asker| asker.send(answer));
        }
    }
}

impl<Q, A> Clone for Gather<Q, A> {
    fn clone(&self) -> Self {
        Self {
            io: self.io.clone(),
            at_once: self.at_once,
            ask: Arc::clone(&self.ask),
            waiting: Arc::clone(&self.waiting),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering::SeqCst},
        task::Poll,
    };

    use futures_util::{future::join_all, poll};

    use super::*;

    type Asked = Arc<Mutex<Vec<Vec<u32>>>>;

    /// Answers twice the number; keeps what is asked.
    fn doubling(at_once: usize) -> (Gather<u32, u32>, Asked) {
        let asked = Asked::default();
        let kept = Arc::clone(&asked);
        let gather = Gather::new(&Handle::current(), at_once, move |numbers: Vec<u32>| {
            let answers = numbers.iter().map(|number| number * 2).collect();
            kept.lock().push(numbers);
            async { Ok(answers) }
        });
        (gather, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn each_gets_the_answer_to_their_question_and_the_same_is_asked_once() {
        let (gather, asked) = doubling(10);
        let questions = (0..1_000).map(|n| n % 25);
        let answers = join_all(questions.clone().map(|n| gather.ask(n))).await;
        for (n, answer) in questions.zip(answers) {
            assert_eq!(answer.unwrap(), n * 2);
        }
        let asked = asked.lock();
        assert!(asked.iter().all(|numbers| numbers.len() <= 10), "{asked:?}");
        assert_eq!(asked[0], (0..10).collect::<Vec<_>>(), "who came first is first");
        // A thousand do not always ask in one go.
        assert!(asked.concat().len() <= 3 * 25, "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waits_for_is_not_asked_but_what_is_told_is() {
        let (gather, asked) = doubling(10);
        {
            let mut given_up = std::pin::pin!(gather.ask(1));
            assert!(matches!(poll!(&mut given_up), Poll::Pending));
        }
        gather.tell(2);
        assert_eq!(gather.ask(3).await.unwrap(), 6);
        assert_eq!(asked.lock().concat(), [2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn full_queries_follow_each_other_at_once() {
        let (gather, asked) = doubling(10);
        let begun = Instant::now();
        join_all((0..1_000).map(|n| gather.ask(n))).await;
        assert_eq!(asked.lock().len(), 100);
        assert!(begun.elapsed().is_zero(), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_that_hangs_holds_up_those_behind_it_for_a_second() {
        let hung = AtomicBool::new(false);
        let gather: Gather<u32, u32> = Gather::new(&Handle::current(), 1, move |numbers: Vec<u32>| {
            let first = !hung.swap(true, SeqCst);
            async move {
                if first {
                    std::future::pending::<()>().await;
                }
                Ok(numbers)
            }
        });
        let begun = Instant::now();
        let mut first = std::pin::pin!(gather.ask(1));
        assert!(matches!(poll!(&mut first), Poll::Pending));
        assert_eq!(gather.ask(2).await.unwrap(), 2);
        assert!(
            begun.elapsed() <= PATIENCE + Duration::from_millis(50),
            "{:?}",
            begun.elapsed()
        );
        assert!(
            matches!(poll!(&mut first), Poll::Pending),
            "it is not given up here"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_longer_than_a_call_may_take() {
        let gather: Gather<u32, u32> = Gather::new(&Handle::current(), 1, |_| std::future::pending());
        let begun = Instant::now();
        let answers = join_all((0..100).map(|n| gather.ask(n))).await;
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer, Err(StoreError::Timeout(_)))),
            "{answers:?}"
        );
        assert_eq!(begun.elapsed().as_secs(), CALL_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_everybodys() {
        let gather: Gather<u32, u32> = Gather::new(&Handle::current(), 10, |_| async {
            Err(StoreError::Down("gone".to_owned()))
        });
        for answer in join_all((0..3).map(|n| gather.ask(n))).await {
            assert!(matches!(answer, Err(StoreError::Down(_))));
        }
    }
}
