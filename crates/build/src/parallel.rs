//! The same work for several things at once.

use std::sync::Mutex;

use crate::error::{StepError, StepResult};

/// `work` for each item on at most `threads` threads: results in order, the first error of any.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> StepResult<R> + Sync,
) -> StepResult<Vec<R>> {
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let queue = Mutex::new(items.iter().enumerate());
    let results: Mutex<Vec<Option<StepResult<R>>>> = Mutex::new(items.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no panic while taking").next();
                    let Some((index, item)) = next else { break };
                    let result = work(item);
                    results.lock().expect("no panic while storing")[index] = Some(result);
                }
            });
        }
    });
    let results = results.into_inner().expect("no panic while storing");
    results
        .into_iter()
        .map(|result| result.unwrap_or(Err(StepError::Canceled)))
        .collect()
}

/// As many threads as this machine has processors.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_and_errors_come_out() {
        let items: Vec<usize> = (0..100).collect();
        let doubled = map(&items, 4, |item| Ok(item * 2)).unwrap();
        assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        let failed = map(&items, 4, |item| {
            if *item == 50 {
                Err(StepError::Invalid("50".to_owned()))
            } else {
                Ok(())
            }
        });
        assert_eq!(failed.unwrap_err().to_string(), "50");
    }
}
