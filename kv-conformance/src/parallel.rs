//! A list of jobs on a few threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// What became of a job.
pub(crate) enum News<'a, J, R> {
    /// It begins.
    Started(J),
    /// It has ended with this, and so many have ended so far.
    Ended(&'a R, usize),
}

/// Works through the jobs and gives the results in the order of the list. `news` is called on this thread.
pub(crate) fn in_parallel<J, R>(
    jobs: &[J],
    threads: usize,
    mut news: impl FnMut(News<'_, J, R>),
    work: impl Fn(J) -> R + Sync,
) -> Vec<R>
where
    J: Copy + Send + Sync,
    R: Send,
{
    let next = AtomicUsize::new(0);
    let (tell, told) = mpsc::channel();
    let mut ended: Vec<(usize, R)> = Vec::with_capacity(jobs.len());
    thread::scope(|scope| {
        for _ in 0..threads.min(jobs.len()) {
            let (tell, next, work) = (tell.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(at).copied() else { break };
                    // The listener outlives the senders.
                    let _ = tell.send((at, job, None));
                    let _ = tell.send((at, job, Some(work(job))));
                }
            });
        }
        drop(tell);
        for (at, job, result) in told {
            match result {
                None => news(News::Started(job)),
                Some(result) => {
                    news(News::Ended(&result, ended.len() + 1));
                    ended.push((at, result));
                }
            }
        }
    });
    ended.sort_by_key(|(at, _)| *at);
    ended.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_jobs_and_all_is_told() {
        let jobs: Vec<usize> = (0..100).collect();
        let (mut started, mut last) = (0, 0);
        let results = in_parallel(
            &jobs,
            3,
            |news| match news {
                News::Started(_) => started += 1,
                News::Ended(_, done) => last = done,
            },
            |job| job * 2,
        );
        assert_eq!(results, (0..200).step_by(2).collect::<Vec<_>>());
        assert_eq!((started, last), (100, 100));
        assert!(in_parallel(&[] as &[u8], 2, |_| {}, |job| job).is_empty());
    }
}
