//! Questions under way: at most so many at once, and at most one about the same object.
//!
//! An object that is asked about again while a question about it is under way is asked about once more afterwards:
//! the answer may have been made before what caused the second question. For containers such an old answer is
//! dropped, but not for ever: one whose events never pause must still get a name.

use super::api::{Answer, Failure};
use crate::model::{KernelTime, SafeText};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use tokio::task::{AbortHandle, Id, JoinSet};

/// The most objects of one kind that are asked about or wait for it.
const MOST_JOBS: usize = 12_000;

/// What came of a question.
pub(super) struct Answered<T> {
    /// The moment of the latest event that made it be asked, if one did.
    pub(super) at: Option<KernelTime>,
    /// The answer.
    pub(super) answer: Result<Answer<T>, Failure>,
}

/// What is to be done, or under way, about one object.
struct Job {
    at: Option<KernelTime>,
    task: Option<AbortHandle>,
    again: bool,
    dropped: u32,
}

/// Questions about objects of one kind.
pub(super) struct Queries<K, T> {
    most_running: usize,
    most_dropped: u32,
    jobs: HashMap<K, Job>,
    waiting: VecDeque<K>,
    tasks: JoinSet<(K, Result<Answer<T>, Failure>)>,
}

impl<K: Clone + Eq + Hash + Send + 'static, T: Send + 'static> Queries<K, T> {
    /// At most `most_running` at once; at most `most_dropped` old answers about one object are dropped in a row.
    pub(super) fn new(most_running: usize, most_dropped: u32) -> Self {
        let (jobs, waiting, tasks) = (HashMap::new(), VecDeque::new(), JoinSet::new());
        Self { most_running, most_dropped, jobs, waiting, tasks }
    }

    /// Asks about an object, because of an event at that moment. False when too many wait already.
    #[must_use]
    pub(super) fn ask(&mut self, key: &K, at: Option<KernelTime>) -> bool {
        if let Some(job) = self.jobs.get_mut(key) {
            job.at = job.at.max(at);
            job.again = job.task.is_some();
            return true;
        }
        if self.jobs.len() >= MOST_JOBS {
            return false;
        }
        self.jobs.insert(key.clone(), Job { at, task: None, again: false, dropped: 0 });
        self.waiting.push_back(key.clone());
        true
    }

    /// Asks no more about an object: an answer under way would be about a time that is over.
    pub(super) fn forget(&mut self, key: &K) {
        if let Some(job) = self.jobs.remove(key) {
            match job.task {
                Some(task) => task.abort(),
                None => self.waiting.retain(|waiting| waiting != key),
            }
        }
    }

    /// Starts as many questions as may run.
    pub(super) fn start<F>(&mut self, question: impl Fn(K) -> F)
    where
        F: Future<Output = Result<Answer<T>, Failure>> + Send + 'static,
    {
        while self.tasks.len() < self.most_running {
            let Some(key) = self.waiting.pop_front() else { return };
            let answer = question(key.clone());
            let named = key.clone();
            let task = self.tasks.spawn(async move { (named, answer.await) });
            if let Some(job) = self.jobs.get_mut(&key) {
                job.task = Some(task);
                job.again = false;
            }
        }
    }

    /// Waits for a question to end. None when its answer is not wanted any more; more may be started then.
    pub(super) async fn next(&mut self) -> Option<Answered<T>> {
        match self.tasks.join_next_with_id().await {
            None => std::future::pending().await,
            Some(Ok((id, (key, answer)))) => self.ended(id, key, answer),
            Some(Err(error)) => {
                let key = self.key_of(error.id())?;
                self.ended(
                    error.id(),
                    key,
                    Err(Failure::Refused(SafeText::new("an answer could not be read"))),
                )
            }
        }
    }

    fn key_of(&self, id: Id) -> Option<K> {
        let is_it = |job: &Job| job.task.as_ref().is_some_and(|task| task.id() == id);
        self.jobs.iter().find(|(_, job)| is_it(job)).map(|(key, _)| key.clone())
    }

    fn ended(&mut self, id: Id, key: K, answer: Result<Answer<T>, Failure>) -> Option<Answered<T>> {
        let job = self.jobs.get_mut(&key)?;
        if job.task.as_ref().is_none_or(|task| task.id() != id) {
            return None;
        }
        let at = job.at;
        if !job.again {
            self.jobs.remove(&key);
            return Some(Answered { at, answer });
        }
        job.task = None;
        let drop_it = job.dropped < self.most_dropped;
        job.dropped = if drop_it { job.dropped + 1 } else { 0 };
        self.waiting.push_back(key.clone());
        (!drop_it).then_some(Answered { at, answer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::refusals::Refusals;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Semaphore;

    /// Questions that are answered, with a running number, as far as they are permitted.
    struct Oracle {
        asked: AtomicU32,
        permits: Semaphore,
    }

    impl Oracle {
        fn new() -> Arc<Self> {
            Arc::new(Self { asked: AtomicU32::new(0), permits: Semaphore::new(0) })
        }

        async fn answer(self: Arc<Self>) -> Result<Answer<u32>, Failure> {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            self.permits.acquire().await.unwrap().forget();
            Ok(Answer { value: number, refusals: Refusals::default() })
        }
    }

    fn start(queries: &mut Queries<u32, u32>, oracle: &Arc<Oracle>) {
        queries.start(|_| Arc::clone(oracle).answer());
    }

    async fn next(queries: &mut Queries<u32, u32>) -> Option<(Option<u64>, u32)> {
        let answered = queries.next().await?;
        let value = answered.answer.ok().unwrap().value;
        Some((answered.at.map(|at| at.0), value))
    }

    async fn until_asked(oracle: &Oracle, count: u32) {
        while oracle.asked.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn only_so_many_run_at_once_and_the_rest_wait() {
        let (mut queries, oracle) = (Queries::new(2, 0), Oracle::new());
        for key in 0..5 {
            assert!(queries.ask(&key, None));
        }
        start(&mut queries, &oracle);
        assert_eq!((queries.tasks.len(), queries.waiting.len()), (2, 3));
        oracle.permits.add_permits(5);
        for _ in 0..5 {
            assert!(next(&mut queries).await.is_some());
            start(&mut queries, &oracle);
        }
        assert!(queries.jobs.is_empty());
    }

    #[tokio::test]
    async fn an_answer_older_than_the_last_event_is_dropped_and_asked_for_again() {
        let (mut queries, oracle) = (Queries::new(2, 3), Oracle::new());
        assert!(queries.ask(&1, Some(KernelTime(10))));
        start(&mut queries, &oracle);
        until_asked(&oracle, 1).await;
        assert!(queries.ask(&1, Some(KernelTime(20))));
        assert!(queries.ask(&1, Some(KernelTime(15))));
        oracle.permits.add_permits(2);
        assert_eq!(next(&mut queries).await, None);
        start(&mut queries, &oracle);
        assert_eq!(next(&mut queries).await, Some((Some(20), 1)));
        assert!(queries.jobs.is_empty() && queries.waiting.is_empty());
    }

    #[tokio::test]
    async fn an_object_whose_events_never_pause_is_answered_all_the_same() {
        let (mut queries, oracle) = (Queries::new(1, 3), Oracle::new());
        assert!(queries.ask(&1, None));
        oracle.permits.add_permits(10);
        for asked in 1..=4 {
            start(&mut queries, &oracle);
            until_asked(&oracle, asked).await;
            assert!(queries.ask(&1, None));
            assert_eq!(next(&mut queries).await.is_some(), asked == 4);
        }
    }

    #[tokio::test]
    async fn a_forgotten_question_is_not_answered_and_a_new_one_is() {
        let (mut queries, oracle) = (Queries::new(2, 0), Oracle::new());
        assert!(queries.ask(&1, None));
        start(&mut queries, &oracle);
        until_asked(&oracle, 1).await;
        queries.forget(&1);
        assert!(queries.ask(&1, Some(KernelTime(5))));
        oracle.permits.add_permits(2);
        let answered = loop {
            start(&mut queries, &oracle);
            if let Some(answered) = next(&mut queries).await {
                break answered;
            }
        };
        assert_eq!(answered, (Some(5), 1));
    }

    #[tokio::test]
    async fn a_question_that_panics_is_an_answer_that_could_not_be_read() {
        let mut queries: Queries<u32, u32> = Queries::new(1, 0);
        assert!(queries.ask(&1, None));
        queries.start(|_| async { panic!("as a test") });
        let answered = queries.next().await.unwrap();
        assert!(matches!(answered.answer, Err(Failure::Refused(_))));
        assert!(queries.jobs.is_empty());
    }

    #[tokio::test]
    async fn the_number_of_questions_is_bounded_and_forgotten_ones_leave_nothing() {
        let mut queries: Queries<usize, u32> = Queries::new(1, 0);
        let taken = (0..20_000).filter(|key| queries.ask(key, None)).count();
        assert_eq!(taken, MOST_JOBS);
        for key in 0..MOST_JOBS {
            queries.forget(&key);
        }
        assert!(queries.jobs.is_empty() && queries.waiting.is_empty());
    }
}
