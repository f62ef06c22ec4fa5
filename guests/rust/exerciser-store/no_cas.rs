use transcript::Transcript;

use crate::exports::kv::guests::calls::Failure;
use crate::wasi::keyvalue::store::Bucket;

pub(crate) fn new(_: &Bucket, _: &str) -> Result<u32, Failure> {
    Err(Failure::Unsupported)
}

pub(crate) fn current(_: u32) -> Result<Option<Vec<u8>>, Failure> {
    Err(Failure::Unsupported)
}

pub(crate) fn swap(_: u32, _: &[u8]) -> Result<Option<u32>, Failure> {
    Err(Failure::Unsupported)
}

pub(crate) fn tour(_: &mut Transcript, _: &Bucket) {}
