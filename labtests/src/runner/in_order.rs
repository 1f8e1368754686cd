//! Runs pieces of work on many threads, and delivers their results in one order.

use crate::interrupt::{self, Interrupted};
use labrpc::channel::{self, Receiver, RecvTimeoutError};
use labrpc::thread::{self, JoinHandle};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The pieces of work that no thread has started, with their numbers; `None` once no more should be started.
type Work<I> = Arc<Mutex<Option<std::iter::Enumerate<I>>>>;

/// Like [`run_all`](super::run_all), for work of any kind.
pub fn in_order<W, R>(
    work: impl Iterator<Item = W> + Send + 'static,
    jobs: usize,
    run: impl Fn(W) -> R + Send + Sync + 'static,
    mut each: impl FnMut(R) -> ControlFlow<()>,
) -> Option<Interrupted<R>>
where
    W: 'static,
    R: Send + 'static,
{
    let work = Arc::new(Mutex::new(Some(work.enumerate())));
    let (workers, results) = begin(&work, jobs, run);
    let mut early = BTreeMap::new();
    let mut next = 0;
    loop {
        match results.recv_timeout(interrupt::LOOK_EVERY) {
            Ok((number, result)) => _ = early.insert(number, result),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        while work.lock().is_some()
            && let Some(result) = early.remove(&next)
        {
            next += 1;
            if each(result).is_break() {
                *work.lock() = None;
            }
        }
        if let Some(by) = interrupt::asked() {
            early.extend(results.try_iter());
            let was_broken = work.lock().take().is_none();
            return (!was_broken).then(|| Interrupted { by, early: early.into_values().collect() });
        }
    }
    for worker in workers {
        let _ = worker.join();
    }
    None
}

/// Starts threads that do the work. The receiver gets each result as soon as it is there.
fn begin<I, R>(
    work: &Work<I>,
    jobs: usize,
    run: impl Fn(I::Item) -> R + Send + Sync + 'static,
) -> (Vec<JoinHandle<()>>, Receiver<(usize, R)>)
where
    I: Iterator + Send + 'static,
    R: Send + 'static,
{
    let run = Arc::new(run);
    let (done, results) = channel::unbounded();
    let workers = (0..jobs).map(|_| {
        let (run, work, done) = (run.clone(), work.clone(), done.clone());
        thread::spawn(move || {
            let next = || work.lock().as_mut()?.next();
            while let Some((number, piece)) = next() {
                let _ = done.send((number, run(piece)));
            }
        })
    });
    (workers.collect(), results)
}
