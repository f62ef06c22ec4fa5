//! The Redis protocol (RESP3), read as it comes in: what is not complete is neither looked at again nor copied about.

use redis::{PushInfo, PushKind, Value, VerbatimFormat};

/// What is read at once, of small things and of long strings. A line has to fit, and the answers to as many small calls
/// as are often under way.
const READ_BYTES: usize = 32 << 10;
const READ_LONG_BYTES: usize = 128 << 10;

/// Strings over this many bytes that are not whole yet are read to where they stay.
const LONG_BYTES: usize = 16 << 10;

/// The longest string: what servers have as their own limit unless somebody raised it.
const STRING_BYTES: usize = 512 << 20;

/// Answers nested deeper are none: Redis does not send them, and dropping a value takes the stack for each level.
const DEPTH: usize = 64;

/// Elements for which space is made before they are there: what is promised need not come.
const PROMISED: usize = 1_024;

/// What a server sends.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    /// An answer to a command, a refusal among them.
    Answer(Value),
    /// Something that it tells of its own accord.
    Push(PushInfo),
}

/// What came is not of the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Garbage;

/// Takes in bytes and gives frames.
pub(crate) struct Parser {
    /// What was read and not looked at yet is between `from` and `to`.
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    /// A long string that is not whole yet.
    long: Option<Long>,
    /// What has elements that are not all there yet, the innermost last.
    open: Vec<Open>,
}

struct Long {
    kind: u8,
    /// With the end of its line; so much of it is there.
    bytes: Vec<u8>,
    filled: usize,
}

struct Open {
    kind: u8,
    missing: usize,
    items: Vec<Value>,
}

enum Step {
    /// More has to be read first.
    Incomplete,
    /// Elements follow.
    Opened,
    Value(Value),
}

impl Parser {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; READ_BYTES], from: 0, to: 0, long: None, open: Vec::new() }
    }

    /// Where to read to. Never empty, once [`next`](Self::next) has said that it needs more.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if let Some(Long { bytes, filled, .. }) = &mut self.long {
            let until = bytes.len().min(*filled + READ_LONG_BYTES);
            return bytes.get_mut(*filled..until).unwrap_or_default();
        }
        if self.from > 0 {
            // Little or nothing: a short string or a line that is not whole.
            self.buffer.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        self.buffer.get_mut(self.to..).unwrap_or_default()
    }

    /// So many bytes were read.
    pub(crate) fn filled(&mut self, bytes: usize) {
        match &mut self.long {
            Some(long) => long.filled += bytes,
            None => self.to += bytes,
        }
    }

    /// The next frame, or nothing if more has to be read first.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Garbage> {
        loop {
            match self.step()? {
                Step::Incomplete => return Ok(None),
                Step::Opened => {}
                Step::Value(value) => {
                    if let Some(frame) = self.close(value)? {
                        return Ok(Some(frame));
                    }
                }
            }
        }
    }

    /// Puts a value where it belongs.
    fn close(&mut self, mut value: Value) -> Result<Option<Frame>, Garbage> {
        loop {
            let Some(open) = self.open.last_mut() else { return Ok(Some(Frame::Answer(value))) };
            open.items.push(value);
            open.missing -= 1;
            if open.missing > 0 {
                return Ok(None);
            }
            let Some(Open { kind, items, .. }) = self.open.pop() else { return Err(Garbage) };
            if kind == b'>' {
                // Servers before 7.0 put these within the answers of transactions too. They are no elements of them.
                return Ok(Some(Frame::Push(push(items)?)));
            }
            value = aggregate(kind, items)?;
        }
    }

    fn step(&mut self) -> Result<Step, Garbage> {
        if let Some(long) = self.long.take_if(|long| long.filled == long.bytes.len()) {
            let Long { kind, mut bytes, .. } = long;
            if !bytes.ends_with(b"\r\n") {
                return Err(Garbage);
            }
            bytes.truncate(bytes.len() - 2);
            return string(kind, bytes).map(Step::Value);
        }
        if self.long.is_some() {
            return Ok(Step::Incomplete);
        }
        let unread = self.buffer.get(self.from..self.to).unwrap_or_default();
        let Some((&kind, rest)) = unread.split_first() else { return Ok(Step::Incomplete) };
        if !b"+-:$*_,#(!=%~>|".contains(&kind) {
            return Err(Garbage);
        }
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return if unread.len() < READ_BYTES { Ok(Step::Incomplete) } else { Err(Garbage) };
        };
        let line = rest.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Garbage)?;
        let rest = rest.get(end + 1..).unwrap_or_default();
        let head = unread.len() - rest.len();
        let value = match kind {
            b'$' | b'=' | b'!' => {
                let Some(length) = count(line)? else {
                    if kind != b'$' {
                        return Err(Garbage);
                    }
                    self.from += head;
                    return Ok(Step::Value(Value::Nil));
                };
                if length > STRING_BYTES {
                    return Err(Garbage);
                }
                if let Some((bytes, rest)) = rest.split_at_checked(length)
                    && let Some((end, _)) = rest.split_at_checked(2)
                {
                    if end != b"\r\n" {
                        return Err(Garbage);
                    }
                    let value = string(kind, bytes.to_vec())?;
                    self.from += head + length + 2;
                    return Ok(Step::Value(value));
                }
                if length > LONG_BYTES {
                    // Zeroed by the system, where it is large, as its pages are filled.
                    let mut bytes = vec![0; length + 2];
                    let filled = rest.len();
                    bytes.get_mut(..filled).ok_or(Garbage)?.copy_from_slice(rest);
                    self.long = Some(Long { kind, bytes, filled });
                    (self.from, self.to) = (0, 0);
                }
                return Ok(Step::Incomplete);
            }
            b'*' | b'~' | b'%' | b'>' | b'|' => match count(line)? {
                None if kind == b'*' => Value::Nil,
                None => return Err(Garbage),
                Some(length) => {
                    let missing = match kind {
                        b'%' => length.checked_mul(2),
                        b'|' => length.checked_mul(2).and_then(|both| both.checked_add(1)),
                        _ => Some(length),
                    };
                    let missing = missing.ok_or(Garbage)?;
                    if missing == 0 {
                        aggregate(kind, Vec::new())?
                    } else if self.open.len() == DEPTH {
                        return Err(Garbage);
                    } else {
                        self.from += head;
                        self.open.push(Open { kind, missing, items: Vec::with_capacity(missing.min(PROMISED)) });
                        return Ok(Step::Opened);
                    }
                }
            },
            b'+' if line == b"OK" => Value::Okay,
            b'+' => Value::SimpleString(text(line)?.to_owned()),
            b':' => Value::Int(text(line)?.parse().ok().ok_or(Garbage)?),
            b',' => Value::Double(text(line)?.parse().ok().ok_or(Garbage)?),
            b'#' => match line {
                b"t" => Value::Boolean(true),
                b"f" => Value::Boolean(false),
                _ => return Err(Garbage),
            },
            b'_' if line.is_empty() => Value::Nil,
            b'-' => refusal(line)?,
            // Its type depends on the driver's features.
            b'(' => redis::parse_redis_value(unread.get(..head).unwrap_or_default()).ok().ok_or(Garbage)?,
            _ => return Err(Garbage),
        };
        self.from += head;
        Ok(Step::Value(value))
    }
}

fn text(bytes: &[u8]) -> Result<&str, Garbage> {
    std::str::from_utf8(bytes).ok().ok_or(Garbage)
}

/// A length; nothing for the older forms of null.
fn count(line: &[u8]) -> Result<Option<usize>, Garbage> {
    if line == b"-1" {
        return Ok(None);
    }
    if line.starts_with(b"+") {
        return Err(Garbage);
    }
    text(line)?.parse().ok().ok_or(Garbage).map(Some)
}

/// A refusal. It may quote anything, so it need not be text.
fn refusal(line: &[u8]) -> Result<Value, Garbage> {
    let mut text = String::from_utf8_lossy(line).replace(['\r', '\n'], " ");
    text.insert(0, '-');
    text.push_str("\r\n");
    // The driver has no other way to make one.
    redis::parse_redis_value(text.as_bytes()).ok().ok_or(Garbage)
}

fn string(kind: u8, bytes: Vec<u8>) -> Result<Value, Garbage> {
    match kind {
        b'!' => refusal(&bytes),
        b'=' => {
            let (format, text) = text(&bytes)?.split_once(':').ok_or(Garbage)?;
            let format = match format {
                "txt" => VerbatimFormat::Text,
                "mkd" => VerbatimFormat::Markdown,
                other => VerbatimFormat::Unknown(other.to_owned()),
            };
            Ok(Value::VerbatimString { format, text: text.to_owned() })
        }
        _ => Ok(Value::BulkString(bytes)),
    }
}

fn aggregate(kind: u8, mut items: Vec<Value>) -> Result<Value, Garbage> {
    match kind {
        b'*' => Ok(Value::Array(items)),
        b'~' => Ok(Value::Set(items)),
        b'%' => {
            let mut items = items.into_iter();
            Ok(Value::Map(std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect()))
        }
        // Attributes: nobody asks for them. The answer that they are about is the last one.
        b'|' => items.pop().ok_or(Garbage),
        _ => Err(Garbage),
    }
}

fn push(items: Vec<Value>) -> Result<PushInfo, Garbage> {
    let mut items = items.into_iter();
    let kind = match items.next() {
        Some(Value::BulkString(kind)) => text(&kind)?.to_owned(),
        Some(Value::SimpleString(kind)) => kind,
        _ => return Err(Garbage),
    };
    let kind = if kind == "invalidate" { PushKind::Invalidate } else { PushKind::Other(kind) };
    Ok(PushInfo { kind, data: items.collect() })
}

#[cfg(test)]
mod tests;
