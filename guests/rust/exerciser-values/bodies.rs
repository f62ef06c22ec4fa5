use crate::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::wasi::keyvalue::types::{Error, IncomingValue, OutgoingValue};

/// The most that one call of `blocking-write-and-flush` takes.
pub(crate) const WRITE_BYTES: usize = 4_096;

/// A value to set, written at once.
pub(crate) fn outgoing(bytes: &[u8]) -> Result<OutgoingValue, Error> {
    let value = OutgoingValue::new_outgoing_value();
    value.outgoing_value_write_body_sync(bytes)?;
    Ok(value)
}

pub(crate) fn whole(value: &IncomingValue) -> Result<Vec<u8>, Error> {
    value.incoming_value_consume_sync()
}

/// Writes everything, in as few pieces as `blocking-write-and-flush` allows.
pub(crate) fn write(stream: &OutputStream, bytes: &[u8]) -> Result<(), String> {
    for piece in bytes.chunks(WRITE_BYTES) {
        stream.blocking_write_and_flush(piece).map_err(|error| kind(&error).to_owned())?;
    }
    Ok(())
}

/// Writes everything without a blocking write: as much as the host permits, once it is ready.
pub(crate) fn write_as_permitted(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), String> {
    let told = |error: StreamError| kind(&error).to_owned();
    while !bytes.is_empty() {
        stream.subscribe().block();
        let permitted = usize::try_from(stream.check_write().map_err(told)?).unwrap_or(usize::MAX);
        let (now, later) = bytes.split_at(permitted.min(bytes.len()));
        stream.write(now).map_err(told)?;
        bytes = later;
    }
    stream.flush().map_err(told)?;
    stream.subscribe().block();
    stream.check_write().map(drop).map_err(told)
}

/// Reads to the end, so many bytes a call.
pub(crate) fn read(stream: &InputStream, bytes: u64) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(bytes) {
            Ok(piece) if piece.len() as u64 > bytes => return Err("more than was asked for".to_owned()),
            Ok(piece) => all.extend(piece),
            Err(StreamError::Closed) => return Ok(all),
            Err(error) => return Err(kind(&error).to_owned()),
        }
    }
}

fn kind(error: &StreamError) -> &'static str {
    match error {
        StreamError::Closed => "closed",
        StreamError::LastOperationFailed(_) => "failed",
    }
}
