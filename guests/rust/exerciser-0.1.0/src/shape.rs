//! What sets this shape apart: a missing key is `none`, and every call may fail.

use crate::bodies::outgoing;
pub(crate) use crate::wasi::keyvalue::eventual as single;
pub(crate) use crate::wasi::keyvalue::eventual_batch as batch;
use crate::wasi::keyvalue::types::{Bucket, Error, IncomingValue};

pub(crate) use batch::{get_many, keys};
pub(crate) use single::get;

pub(crate) fn set_many(bucket: &Bucket, entries: &[(String, Vec<u8>)]) -> Result<(), Error> {
    let values = entries.iter().map(|(_, value)| outgoing(value)).collect::<Result<Vec<_>, _>>()?;
    let entries: Vec<_> = entries.iter().map(|(key, _)| key.clone()).zip(&values).collect();
    batch::set_many(bucket, &entries)
}

pub(crate) fn size(value: &IncomingValue) -> Result<u64, Error> {
    value.incoming_value_size()
}
