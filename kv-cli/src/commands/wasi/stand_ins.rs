//! Short lists that stand for long ones while a call is parsed: of each byte in a list, the parser makes 60.

use std::hash::{BuildHasher as _, RandomState};

use bytes::Bytes;
use wasmtime::component::Val;

/// Lists of bytes, each with a short one in its place.
#[derive(Debug)]
pub(super) struct StandIns {
    bytes: Vec<Bytes>,
    /// How the short lists begin; nobody types it.
    mark: [u8; 8],
}

impl StandIns {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), mark: RandomState::new().hash_one(0).to_le_bytes() }
    }

    /// Keeps these bytes, and gives the list that stands for them, in WAVE.
    pub(super) fn add(&mut self, bytes: Bytes) -> String {
        let items: Vec<String> = self.mark.iter().chain(&self.bytes.len().to_le_bytes()).map(u8::to_string).collect();
        self.bytes.push(bytes);
        format!("[{}]", items.join(","))
    }

    /// Puts the bytes in the place of the short lists. Gives the number of one that is not there: a list of other numbers was
    /// wanted, which took the short one for one of its own.
    pub(super) fn put(&self, values: &mut [Val]) -> Option<usize> {
        let mut is_put = vec![false; self.bytes.len()];
        values.iter_mut().for_each(|value| self.put_in(value, &mut is_put));
        is_put.iter().position(|is_put| !is_put)
    }

    fn put_in(&self, value: &mut Val, is_put: &mut [bool]) {
        match value {
            Val::List(items) => match self.find(items) {
                Some((n, bytes)) => {
                    *items = bytes.iter().map(|byte| Val::U8(*byte)).collect();
                    is_put.iter_mut().skip(n).take(1).for_each(|is_put| *is_put = true);
                }
                None => items.iter_mut().for_each(|item| self.put_in(item, is_put)),
            },
            Val::Tuple(items) => items.iter_mut().for_each(|item| self.put_in(item, is_put)),
            Val::Record(fields) => fields.iter_mut().for_each(|(_, value)| self.put_in(value, is_put)),
            Val::Option(Some(value)) | Val::Variant(_, Some(value)) => self.put_in(value, is_put),
            Val::Result(Ok(Some(value)) | Err(Some(value))) => self.put_in(value, is_put),
            _ => {}
        }
    }

    /// What the list stands for, if it does.
    fn find(&self, items: &[Val]) -> Option<(usize, &Bytes)> {
        let byte = |item: &Val| if let Val::U8(byte) = item { Some(*byte) } else { None };
        let (mark, number) = items.split_at_checked(self.mark.len())?;
        if !mark.iter().map(byte).eq(self.mark.map(Some)) {
            return None;
        }
        let number: Vec<u8> = number.iter().map(byte).collect::<Option<_>>()?;
        let number = usize::from_le_bytes(number.try_into().ok()?);
        Some((number, self.bytes.get(number)?))
    }
}

#[cfg(test)]
impl StandIns {
    pub(super) fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.iter().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_to_their_place_or_are_known_to_be_left() {
        let mut stand_ins = StandIns::new();
        let texts = [stand_ins.add("ab".into()), stand_ins.add(Bytes::new())];
        let parsed = |n: usize, item: fn(u8) -> Val| {
            let items: Vec<u8> = serde_json::from_str(texts[n].as_str()).unwrap();
            Val::List(items.into_iter().map(item).collect())
        };
        let some = |value| Val::Option(Some(Box::new(value)));
        let own = Val::List(vec![Val::U8(3)]);
        let mut values = [Val::Tuple(vec![parsed(0, Val::U8), own.clone()]), some(parsed(1, Val::U8))];
        assert_eq!(stand_ins.put(&mut values), None);
        let ab = Val::List(vec![Val::U8(b'a'), Val::U8(b'b')]);
        assert_eq!(values, [Val::Tuple(vec![ab, own]), some(Val::List(Vec::new()))]);
        let mut wider = [parsed(0, Val::U8), parsed(1, |byte| Val::U16(byte.into()))];
        assert_eq!(stand_ins.put(&mut wider), Some(1));
    }
}
