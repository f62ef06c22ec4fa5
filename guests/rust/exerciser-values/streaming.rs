use transcript::{Shape, Show, Transcript, long_value};

use crate::bodies::{read, write, write_as_permitted};
use crate::shape::{self, single};
use crate::wasi::keyvalue::types::{Bucket, Error, OutgoingValue};

const KEY: &str = "body";

/// Longer than two writes of a stream.
const BODY_BYTES: usize = 10_000;

/// Values' bodies: written and read at once and by streams.
pub(crate) fn tour(lines: &mut Transcript, bucket: &Bucket) {
    let ended =
        written_at_once(lines, bucket).and_then(|()| by_streams(lines, bucket)).and_then(|()| left(lines, bucket));
    lines.note("every body was given", &ended);
    let ended = consumed(lines, bucket);
    lines.note("every value was given", &ended);
    lines.note("delete body", &Shape::delete(bucket, KEY));
}

fn written_at_once(lines: &mut Transcript, bucket: &Bucket) -> Result<(), Error> {
    let value = OutgoingValue::new_outgoing_value();
    lines.note("set a value without a body", &single::set(bucket, KEY, &value));
    lines.note("get body", &Shape::get(bucket, KEY));
    lines.note("write a body", &value.outgoing_value_write_body_sync(b"one"));
    lines.note("set body", &single::set(bucket, KEY, &value));
    lines.note("get body", &Shape::get(bucket, KEY));
    lines.note("write again", &value.outgoing_value_write_body_sync(b" two"));
    lines.note("set body", &single::set(bucket, KEY, &value));
    lines.note("get body", &Shape::get(bucket, KEY));
    lines.note("set body again", &single::set(bucket, KEY, &value));
    lines.note("get body", &Shape::get(bucket, KEY));
    Ok(())
}

fn by_streams(lines: &mut Transcript, bucket: &Bucket) -> Result<(), Error> {
    let value = OutgoingValue::new_outgoing_value();
    let stream = value.outgoing_value_write_body_async()?;
    lines.note(&format!("stream {BODY_BYTES} bytes in pieces"), &write(&stream, &long_value(BODY_BYTES)));
    lines.note("set while the stream is open", &single::set(bucket, KEY, &value));
    lines.note("get body", &Shape::get(bucket, KEY));
    lines.note("write at once while the stream is open", &value.outgoing_value_write_body_sync(b"!"));
    lines.note("second stream while one is open", &value.outgoing_value_write_body_async().map(drop));
    drop(stream);
    lines.note("set once the stream is dropped", &single::set(bucket, KEY, &value));
    lines.note("get body", &Shape::get(bucket, KEY));

    let stream = value.outgoing_value_write_body_async()?;
    lines.note("stream 5 bytes more", &write(&stream, b"after"));
    drop(stream);
    lines.note("write 4 bytes more at once", &value.outgoing_value_write_body_sync(b"last"));
    lines.note("set body", &single::set(bucket, KEY, &value));
    lines.note("get body", &Shape::get(bucket, KEY));

    let value = OutgoingValue::new_outgoing_value();
    let stream = value.outgoing_value_write_body_async()?;
    lines.note("stream 200000 bytes as permitted", &write_as_permitted(&stream, &long_value(200_000)));
    drop(stream);
    lines.note("set body", &single::set(bucket, KEY, &value));
    lines.note("get body", &Shape::get(bucket, KEY));
    Ok(())
}

/// Streams that are opened and not used.
fn left(lines: &mut Transcript, bucket: &Bucket) -> Result<(), Error> {
    let value = OutgoingValue::new_outgoing_value();
    drop(value.outgoing_value_write_body_async()?);
    lines.note("set after a stream without a write", &single::set(bucket, KEY, &value));
    lines.note("get body", &Shape::get(bucket, KEY));

    let value = OutgoingValue::new_outgoing_value();
    let stream = value.outgoing_value_write_body_async()?;
    lines.note("write to a stream", &write(&stream, b"for nobody"));
    drop(value);
    // Whether it may go on is the host's choice; it must not trap.
    let _ = write(&stream, b" at all");
    Ok(())
}

fn consumed(lines: &mut Transcript, bucket: &Bucket) -> Result<(), Error> {
    lines.note(&format!("set body to {BODY_BYTES} bytes"), &Shape::set(bucket, KEY, &long_value(BODY_BYTES)));
    let take = |lines: &mut Transcript| {
        let value = shape::get(bucket, KEY);
        lines.note("get body", &value.as_ref().map(|value| value.as_ref().map(drop)));
        value.ok().flatten()
    };

    if let Some(value) = take(lines) {
        lines.note("size", &shape::size(&value));
        lines.note("size again", &shape::size(&value));
        lines.note("consume at once", &value.incoming_value_consume_sync());
        lines.note("size after it was consumed", &shape::size(&value));
        lines.note("consume at once again", &value.incoming_value_consume_sync());
        lines.note("consume by a stream after that", &value.incoming_value_consume_async().map(drop));
    }
    if let Some(value) = take(lines) {
        let stream = value.incoming_value_consume_async()?;
        lines.note("consume by a stream, 3000 bytes a read", &read(&stream, 3_000));
        lines.note("read after the end", &read(&stream, 1));
        drop(stream);
        lines.note("size after it was consumed", &shape::size(&value));
        lines.note("consume by a stream again", &value.incoming_value_consume_async().map(drop));
        lines.note("consume at once after that", &value.incoming_value_consume_sync());
    }
    if let Some(value) = take(lines) {
        let stream = value.incoming_value_consume_async()?;
        let skipped = stream.blocking_skip(9_990).unwrap_or_default();
        drop(value);
        let total = read(&stream, 1_000).map(|rest| skipped + rest.len() as u64);
        lines.note("bytes skipped, and read on once the value is gone", &total);
    }
    if let Some(value) = take(lines) {
        lines.note("set body, its value being held", &Shape::set(bucket, KEY, b"newer"));
        lines.note("the held value", &value.show());
    }
    Ok(())
}
