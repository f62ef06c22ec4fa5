//! The instances that a server runs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::{AbortHandle, JoinSet};

/// Instances, each in a task of its own, until they are ended all together.
pub(super) struct Tasks(Mutex<Option<JoinSet<()>>>);

impl Tasks {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Some(JoinSet::new())))
    }

    /// Begins one; `None` where they were ended.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        let mut tasks = self.lock();
        let tasks = tasks.as_mut()?;
        // So that those which are done take no room.
        while tasks.try_join_next().is_some() {}
        Some(tasks.spawn(task))
    }

    /// Ends all that run, wherever they are, and waits until they are gone. None begins from then on.
    pub(super) async fn end(&self) {
        let tasks = self.lock().take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn all_are_ended_and_none_begins_then() {
        let (tasks, running) = (Tasks::new(), Arc::new(()));
        for _ in 0..3 {
            let running = Arc::clone(&running);
            let endless = async move {
                let _running = running;
                std::future::pending().await
            };
            assert!(tasks.spawn(endless).is_some());
        }
        tasks.end().await;
        assert_eq!(Arc::strong_count(&running), 1);
        assert!(tasks.spawn(async {}).is_none());
        tasks.end().await;
    }
}
