//! Physical keys: pure functions.
//!
//! Each key begins with the namespace and a letter that tells what it is; the names in it are escaped so that a colon
//! always separates. A bucket that was dropped goes on under the next *generation*, so that dropping is one small step.

/// Characters of names that are written as `%` and two hexadecimal digits.
const ESCAPED: [(char, &str); 2] = [('%', "%25"), (':', "%3A")];

/// The keys of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace(Box<str>);

impl Namespace {
    pub(crate) fn new(name: &str) -> Self {
        Self(escape(name).into())
    }

    /// The sorted set of all buckets' escaped names; some may hold nothing any more.
    pub(crate) fn registry(&self) -> String {
        format!("{}:b", self.0)
    }

    /// The set of dropped generations whose entries are still being removed, each as `BUCKET:GENERATION`.
    pub(crate) fn trash(&self) -> String {
        format!("{}:t", self.0)
    }

    /// The keys of one bucket.
    pub(crate) fn bucket(&self, name: &str) -> BucketKeys {
        let bucket = escape(name);
        BucketKeys {
            generation: format!("{}:g:{bucket}", self.0).into(),
            entries: format!("{}:e:{bucket}:", self.0).into(),
            indices: format!("{}:i:{bucket}:", self.0).into(),
            registry: self.registry().into(),
            trash: self.trash().into(),
            bucket: bucket.into(),
        }
    }

    /// What every key of this kind begins with: `e` entries, `i` indices, `g` generations.
    pub(crate) fn kind(&self, letter: char) -> String {
        format!("{}:{letter}:", self.0)
    }
}

/// The keys of one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketKeys {
    /// The bucket's escaped name.
    pub(crate) bucket: Box<str>,
    /// Holds the bucket's generation; absent is 0.
    pub(crate) generation: Box<str>,
    /// What entries begin with, before the generation.
    pub(crate) entries: Box<str>,
    /// What indices begin with, before the generation.
    indices: Box<str>,
    pub(crate) registry: Box<str>,
    pub(crate) trash: Box<str>,
}

impl BucketKeys {
    /// Where an entry stands.
    pub(crate) fn entry(&self, generation: u64, key: &str) -> Vec<u8> {
        let mut physical = Vec::with_capacity(self.entries.len() + key.len() + 4);
        physical.extend_from_slice(self.entries.as_bytes());
        push_number(&mut physical, generation);
        physical.push(b':');
        physical.extend_from_slice(key.as_bytes());
        physical
    }

    /// What the entries of a generation begin with.
    pub(crate) fn entries(&self, generation: u64) -> String {
        format!("{}{generation}:", self.entries)
    }

    /// The sorted set of a generation's keys, all with score 0.
    pub(crate) fn index(&self, generation: u64) -> String {
        format!("{}{generation}", self.indices)
    }

    /// The member of the trash that stands for a generation.
    pub(crate) fn garbage(&self, generation: u64) -> String {
        format!("{}:{generation}", self.bucket)
    }

    /// Takes an entry's physical key apart into generation and key.
    pub(crate) fn split(&self, physical: &[u8]) -> Option<(u64, String)> {
        let rest = physical.strip_prefix(self.entries.as_bytes())?;
        let at = rest.iter().position(|byte| *byte == b':')?;
        let (generation, key) = rest.split_at_checked(at)?;
        let generation = std::str::from_utf8(generation).ok()?.parse().ok()?;
        Some((generation, String::from_utf8(key.get(1..)?.to_vec()).ok()?))
    }
}

fn push_number(bytes: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        // Most buckets are never dropped, or a few times.
        Ok(digit) if digit < 10 => bytes.push(b'0' + digit),
        _ => bytes.extend_from_slice(number.to_string().as_bytes()),
    }
}

/// A name without a colon, and without a `%` that this did not write.
fn escape(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match ESCAPED.iter().find(|(from, _)| *from == c) {
            Some((_, to)) => text.push_str(to),
            None => text.push(c),
        }
    }
    text
}

/// The name behind an escaped one; `None` for what [`escape`] does not write.
pub(crate) fn unescape(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (plain, escaped) = rest.split_at_checked(at)?;
        let (c, to) = ESCAPED.iter().find(|(_, to)| escaped.starts_with(to))?;
        name.push_str(plain);
        name.push(*c);
        rest = escaped.get(to.len()..)?;
    }
    name.push_str(rest);
    (!text.contains(':')).then_some(name)
}

/// The least text above all that begin with `prefix`, as a bound of a range by bytes; `+` where there is none.
pub(crate) fn after(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    // No byte of UTF-8 is the highest one.
    match bytes.last_mut() {
        Some(last) => *last += 1,
        None => return b"+".to_vec(),
    }
    bytes.insert(0, b'(');
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NAMES: [&str; 12] = ["", "a", ":", "%", "%3A", "%25", "a:b", "a:0", "0", "a%", "\0", "é:\u{10FFFF}"];

    #[test]
    fn no_two_things_share_a_physical_key() {
        let mut seen = HashSet::new();
        for namespace in ["kv", "kv:e", "kv:", "", "k"] {
            let namespace = Namespace::new(namespace);
            assert!(seen.insert(namespace.registry().into_bytes()));
            assert!(seen.insert(namespace.trash().into_bytes()));
            for bucket in NAMES {
                let keys = namespace.bucket(bucket);
                assert!(seen.insert(keys.generation.as_bytes().to_vec()));
                for generation in [0, 9, 10, 12] {
                    assert!(seen.insert(keys.index(generation).into_bytes()));
                    for key in NAMES {
                        let physical = keys.entry(generation, key);
                        assert_eq!(keys.split(&physical), Some((generation, key.to_owned())));
                        assert!(physical.starts_with(keys.entries(generation).as_bytes()));
                        assert!(seen.insert(physical), "{bucket:?} {generation} {key:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn names_come_back() {
        for name in NAMES {
            assert_eq!(unescape(escape(name).as_bytes()).as_deref(), Some(name));
        }
        for rubbish in ["a:b", "%", "%41", "%3a"] {
            assert_eq!(unescape(rubbish.as_bytes()), None);
        }
    }

    #[test]
    fn a_range_ends_behind_its_prefix() {
        assert_eq!(after(""), b"+");
        assert_eq!(after("ab"), b"(ac");
        assert_eq!(after("\u{10FFFF}"), b"(\xF4\x8F\xBF\xC0");
    }
}
