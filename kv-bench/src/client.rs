//! What the workloads drive: a bucket of ours, or a raw driver.

use bytes::Bytes;
use kv::Bucket;

/// How benchmarks fail: with a sentence that ends the run.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The calls that the workloads make.
///
/// A workload is written once against this trait, so that both sides of a pair run the same loop in the same tasks.
/// Calls are dispatched statically: the raw side has nothing of ours between the loop and the driver. Every call
/// takes hold of an owned reply and reports its size, so that none is optimised away.
///
/// Each caller has a clone of its own, so that drivers whose calls need one exclusively make none for each call.
pub trait Client: Clone + Send + Sync + 'static {
    /// Where a listing goes on.
    type Cursor: Send + 'static;

    /// Reads one value; gives its length.
    fn get(&mut self, key: &str) -> impl Future<Output = Result<usize>> + Send;
    /// Writes one value.
    fn set(&mut self, key: &str, value: &Bytes) -> impl Future<Output = Result> + Send;
    /// Reads many values; gives how many were there.
    fn get_many(&mut self, keys: &[String]) -> impl Future<Output = Result<usize>> + Send;
    /// Writes many entries.
    fn set_many(&mut self, entries: Vec<(&str, Bytes)>) -> impl Future<Output = Result> + Send;
    /// Reads a page of `limit` keys; gives their number and where the next page begins.
    fn page(
        &mut self,
        cursor: Option<Self::Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<(usize, Option<Self::Cursor>)>> + Send;
    /// Adds one to a counter; gives its new value.
    fn increment(&mut self, key: &str) -> impl Future<Output = Result<i64>> + Send;
}

/// A raw driver.
pub trait Raw: Client {
    /// Its blocking write; none of a driver whose calls wait without holding a thread.
    fn blocking(&self) -> Option<&dyn SetNow>;
}

/// The write of a driver whose calls block: for programs that use the blocking pool.
pub trait SetNow {
    /// Writes one value as [`Client::set`] does, blocking the thread.
    ///
    /// # Errors
    ///
    /// What the driver has.
    fn set_now(&self, key: &str, value: &Bytes) -> Result;
}

impl Client for Bucket {
    type Cursor = String;

    async fn get(&mut self, key: &str) -> Result<usize> {
        Ok(Self::get(self, key).await?.ok_or_else(|| missing(key))?.len())
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result {
        Ok(Self::set(self, key, value.clone()).await?)
    }

    async fn get_many(&mut self, keys: &[String]) -> Result<usize> {
        Ok(Self::get_many(self, keys).await?.iter().flatten().count())
    }

    async fn set_many(&mut self, entries: Vec<(&str, Bytes)>) -> Result {
        Ok(Self::set_many(self, entries).await?)
    }

    async fn page(&mut self, cursor: Option<String>, limit: usize) -> Result<(usize, Option<String>)> {
        let page = self.keys("", cursor.as_deref(), limit).await?;
        Ok((page.keys.len(), page.cursor))
    }

    async fn increment(&mut self, key: &str) -> Result<i64> {
        Ok(Self::increment(self, key, 1).await?)
    }
}

/// The error of a record that should be there.
pub(crate) fn missing(key: &str) -> String {
    format!("the record {key} is missing from the store that the benchmark filled")
}
