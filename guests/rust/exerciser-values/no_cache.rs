use transcript::Transcript;

use crate::exports::kv::guests::calls::Failure;

pub(crate) fn get(_: &str) -> Result<Option<Vec<u8>>, Failure> {
    Err(Failure::Unsupported)
}

pub(crate) fn exists(_: &str) -> Result<bool, Failure> {
    Err(Failure::Unsupported)
}

pub(crate) fn set(_: &str, _: &[u8], _: Option<u32>) -> Result<(), Failure> {
    Err(Failure::Unsupported)
}

pub(crate) fn get_or_set(_: &str, _: &[u8], _: Option<u32>) -> Result<Vec<u8>, Failure> {
    Err(Failure::Unsupported)
}

pub(crate) fn delete(_: &str) -> Result<(), Failure> {
    Err(Failure::Unsupported)
}

pub(crate) fn tour(_: &mut Transcript) {}
