use crate::{Show, Transcript};

/// The calls that every shape has, with the shape's own results. A bucket is open already.
pub trait Shape {
    fn get(&self, key: &str) -> impl Show;
    fn set(&self, key: &str, value: &[u8]) -> impl Show;
    fn delete(&self, key: &str) -> impl Show;
    fn exists(&self, key: &str) -> impl Show;
    /// Sorted, for no shape promises an order.
    fn keys(&self) -> impl Show;
    fn get_many(&self, keys: &[String]) -> impl Show;
    fn set_many(&self, entries: &[(String, Vec<u8>)]) -> impl Show;
    fn delete_many(&self, keys: &[String]) -> impl Show;
    /// Passes the bits on where the shape's counters are unsigned.
    fn increment(&self, key: &str, delta: i64) -> impl Show;
}

/// The counter's key: whoever goes on with it finds it deleted.
pub const COUNTED: &str = "counter";

/// Reads and writes of one entry.
pub fn singles(lines: &mut Transcript, bucket: &impl Shape) {
    lines.note("get missing", &bucket.get("missing"));
    lines.note("exists missing", &bucket.exists("missing"));
    lines.note("delete missing", &bucket.delete("missing"));
    lines.note("set key", &bucket.set("key", b"first"));
    lines.note("get key", &bucket.get("key"));
    lines.note("exists key", &bucket.exists("key"));
    lines.note("set key again, shorter", &bucket.set("key", b"2nd"));
    lines.note("get key", &bucket.get("key"));
    lines.note("set key to nothing", &bucket.set("key", b""));
    lines.note("get key", &bucket.get("key"));
    lines.note("exists key", &bucket.exists("key"));
    lines.note("set key to 100000 bytes", &bucket.set("key", &crate::long_value(100_000)));
    lines.note("get key", &bucket.get("key"));
    lines.note("set the empty key", &bucket.set("", b"under no name"));
    lines.note("get the empty key", &bucket.get(""));
    lines.note("set schlüssel", &bucket.set("schlüssel", "wért".as_bytes()));
    lines.note("get schlüssel", &bucket.get("schlüssel"));
    for key in ["key", "", "schlüssel"] {
        lines.note(&format!("delete {key:?}"), &bucket.delete(key));
        lines.note(&format!("exists {key:?}"), &bucket.exists(key));
    }
    lines.note("list", &bucket.keys());
}

/// Calls about many entries.
pub fn batches(lines: &mut Transcript, bucket: &impl Shape) {
    let keys = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    let entries =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect::<Vec<_>>();
    lines.note("get-many of nothing", &bucket.get_many(&[]));
    lines.note("set-many of nothing", &bucket.set_many(&[]));
    lines.note("delete-many of nothing", &bucket.delete_many(&[]));
    let repeated = entries(&[("b", "1"), ("a", "2"), ("b", "3"), ("c", "")]);
    lines.note("set-many b a b c", &bucket.set_many(&repeated));
    lines.note("get-many c b a b", &bucket.get_many(&keys(&["c", "b", "a", "b"])));
    lines.note("get-many a missing b", &bucket.get_many(&keys(&["a", "missing", "b"])));
    lines.note("list", &bucket.keys());
    lines.note("delete-many a missing a c", &bucket.delete_many(&keys(&["a", "missing", "a", "c"])));
    lines.note("list", &bucket.keys());
    lines.note("delete-many b", &bucket.delete_many(&keys(&["b"])));
    lines.note("list", &bucket.keys());
}

/// Counters. Each shape's own edges come through `deltas`: what to add, with its name.
pub fn counters(lines: &mut Transcript, bucket: &impl Shape, deltas: &[(&str, i64)]) {
    lines.note("increment missing by 0", &bucket.increment(COUNTED, 0));
    lines.note("exists counter", &bucket.exists(COUNTED));
    lines.note("increment by 5", &bucket.increment(COUNTED, 5));
    lines.note("increment by 0", &bucket.increment(COUNTED, 0));
    lines.note("get counter", &bucket.get(COUNTED));
    for (name, delta) in deltas {
        lines.note(&format!("increment by {name}"), &bucket.increment(COUNTED, *delta));
        lines.note("get counter", &bucket.get(COUNTED));
    }
    for text in
        ["40", "-5", "-9223372036854775808", "9223372036854775807", "9223372036854775808", "abc", "", " 1", "01"]
    {
        lines.note(&format!("set counter to {text:?}"), &bucket.set(COUNTED, text.as_bytes()));
        lines.note("increment by 2", &bucket.increment(COUNTED, 2));
        lines.note("get counter", &bucket.get(COUNTED));
    }
    lines.note("delete counter", &bucket.delete(COUNTED));
    lines.note("increment missing by 3", &bucket.increment(COUNTED, 3));
    lines.note("delete counter", &bucket.delete(COUNTED));
}
