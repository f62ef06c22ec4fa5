//! Physical keys: pure functions.
//!
//! Each key begins with the namespace and a letter that tells what it is; the names in it are escaped so that a colon
//! always separates. A bucket that was dropped goes on under the next *generation*, so that dropping is one small step.
//!
//! A bucket's keys are in one *group* on one server, and in 256 groups in a cluster. What belongs to a group has the same
//! hash tag, so it is on one node and can change in one step.

/// Characters of names that are written as `%` and two hexadecimal digits. Braces would be hash tags.
const ESCAPED: [(char, &str); 4] = [('%', "%25"), (':', "%3A"), ('{', "%7B"), ('}', "%7D")];

/// Slots of a cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// Groups of a bucket in a cluster: enough to spread over as many nodes, and few enough to ask each.
const GROUPS: u16 = 256;

/// A part of a bucket whose keys share a hash tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Group(u8);

impl Group {
    /// The one that counts a bucket's generations; the only one on one server.
    pub(crate) const FIRST: Self = Self(0);

    pub(crate) fn number(self) -> usize {
        usize::from(self.0)
    }
}

/// The keys of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace {
    name: Box<str>,
    is_spread: bool,
}

impl Namespace {
    /// `is_spread` in a cluster.
    pub(crate) fn new(name: &str, is_spread: bool) -> Self {
        Self { name: escape(name).into(), is_spread }
    }

    /// Whether buckets are spread over the nodes of a cluster.
    pub(crate) fn is_spread(&self) -> bool {
        self.is_spread
    }

    /// The sorted set of all buckets that may hold something, each as `BUCKET:GENERATION`.
    pub(crate) fn registry(&self) -> String {
        format!("{}:b", self.name)
    }

    /// The set of dropped generations whose entries are still being removed, each as `BUCKET:GENERATION`.
    pub(crate) fn trash(&self) -> String {
        format!("{}:t", self.name)
    }

    /// The hash of the groups in which generations of buckets had an entry at first, by `BUCKET:GENERATION`: where to look for
    /// entries before all others. In a cluster only.
    pub(crate) fn hints(&self) -> String {
        format!("{}:h", self.name)
    }

    /// The keys of one bucket.
    pub(crate) fn bucket(&self, name: &str) -> BucketKeys {
        self.escaped(escape(name))
    }

    /// The keys of a bucket whose name is escaped already.
    pub(crate) fn escaped(&self, bucket: String) -> BucketKeys {
        let start = |letter| match self.is_spread {
            true => format!("{}:{letter}:{{{bucket}:", self.name).into(),
            false => format!("{}:{letter}:{bucket}", self.name).into(),
        };
        BucketKeys {
            generations: start('g'),
            entries: start('e'),
            indices: start('i'),
            tag: crc16(0, format!("{bucket}:").as_bytes()),
            is_spread: self.is_spread,
            bucket: bucket.into(),
        }
    }
}

/// The keys of one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketKeys {
    /// The bucket's escaped name.
    pub(crate) bucket: Box<str>,
    /// What each group's own generation begins with.
    pub(crate) generations: Box<str>,
    /// What entries begin with.
    pub(crate) entries: Box<str>,
    indices: Box<str>,
    /// Of what hash tags begin with.
    tag: u16,
    is_spread: bool,
}

impl BucketKeys {
    /// All groups of the bucket.
    pub(crate) fn groups(&self) -> impl DoubleEndedIterator<Item = Group> + use<> {
        (0..=u8::try_from(if self.is_spread { GROUPS - 1 } else { 0 }).unwrap_or(u8::MAX)).map(Group)
    }

    /// The group of a key: the low byte of its slot, were it a key of its own.
    pub(crate) fn group(&self, key: &str) -> Group {
        let [_, low] = if self.is_spread { crc16(0, key.as_bytes()).to_be_bytes() } else { [0, 0] };
        Group(low)
    }

    /// The slot of a group's keys; always the same on one server.
    pub(crate) fn slot(&self, group: Group) -> u16 {
        if self.is_spread { crc16(self.tag, &hex(group)) % SLOTS } else { 0 }
    }

    /// Where a group notes the bucket's generation; absent is 0.
    pub(crate) fn generation(&self, group: Group) -> Vec<u8> {
        let mut physical = Vec::with_capacity(self.generations.len() + 3);
        physical.extend_from_slice(self.generations.as_bytes());
        if self.is_spread {
            physical.extend_from_slice(&hex(group));
            physical.push(b'}');
        }
        physical
    }

    /// Where an entry stands.
    pub(crate) fn entry(&self, generation: u64, key: &str) -> Vec<u8> {
        let mut physical = Vec::with_capacity(self.entries.len() + key.len() + 8);
        self.within(&mut physical, &self.entries, self.group(key), generation);
        physical.push(b':');
        physical.extend_from_slice(key.as_bytes());
        physical
    }

    /// What a group's entries of a generation begin with.
    pub(crate) fn entries(&self, group: Group, generation: u64) -> Vec<u8> {
        let mut physical = Vec::new();
        self.within(&mut physical, &self.entries, group, generation);
        physical.push(b':');
        physical
    }

    /// The sorted set of a group's keys in a generation, all with score 0.
    pub(crate) fn index(&self, group: Group, generation: u64) -> Vec<u8> {
        let mut physical = Vec::with_capacity(self.indices.len() + 8);
        self.within(&mut physical, &self.indices, group, generation);
        physical
    }

    fn within(&self, physical: &mut Vec<u8>, start: &str, group: Group, generation: u64) {
        physical.extend_from_slice(start.as_bytes());
        if self.is_spread {
            physical.extend_from_slice(&hex(group));
            physical.push(b'}');
        }
        physical.push(b':');
        push_number(physical, generation);
    }

    /// What the index of a generation begins with, on one server.
    pub(crate) fn indices(&self) -> String {
        format!("{}:", self.indices)
    }

    /// The member of the registry, and of the trash, that stands for a generation.
    pub(crate) fn member(&self, generation: u64) -> String {
        format!("{}:{generation}", self.bucket)
    }

    /// Takes an entry's physical key apart into generation and key.
    pub(crate) fn split(&self, physical: &[u8]) -> Option<(u64, String)> {
        let mut rest = physical.strip_prefix(self.entries.as_bytes())?;
        let mut group = None;
        if self.is_spread {
            let (found, behind) = rest.split_at_checked(2)?;
            group = Some(u8::from_str_radix(std::str::from_utf8(found).ok()?, 16).ok()?);
            rest = behind.strip_prefix(b"}")?;
        }
        let rest = rest.strip_prefix(b":")?;
        let at = rest.iter().position(|byte| *byte == b':')?;
        let (generation, key) = rest.split_at_checked(at)?;
        let generation = std::str::from_utf8(generation).ok()?.parse().ok()?;
        let key = String::from_utf8(key.get(1..)?.to_vec()).ok()?;
        // A key that somebody else put into another group is no entry.
        (group.is_none_or(|group| self.group(&key) == Group(group))).then_some((generation, key))
    }

    /// Whether this key notes a generation of the bucket's.
    pub(crate) fn is_generation(&self, physical: &[u8]) -> bool {
        match physical.strip_prefix(self.generations.as_bytes()) {
            Some([_, _, b'}']) => self.is_spread,
            Some([]) => !self.is_spread,
            _ => false,
        }
    }
}

/// A member of the registry or of the trash: the bucket's escaped name and a generation.
pub(crate) fn parse_member(member: &[u8]) -> Option<(String, u64)> {
    let (bucket, generation) = std::str::from_utf8(member).ok()?.rsplit_once(':')?;
    Some((bucket.to_owned(), generation.parse().ok()?))
}

/// The slot of a key without a hash tag.
pub(crate) fn slot(key: &str) -> u16 {
    crc16(0, key.as_bytes()) % SLOTS
}

fn hex(group: Group) -> [u8; 2] {
    let digit = |digit: u8| if digit < 10 { b'0' + digit } else { b'a' - 10 + digit };
    [digit(group.0 >> 4), digit(group.0 & 15)]
}

/// The checksum by which a cluster spreads keys (XMODEM), continued from `crc`.
fn crc16(crc: u16, bytes: &[u8]) -> u16 {
    const TABLE: [u16; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let mut crc = (at as u16) << 8;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
                bit += 1;
            }
            #[expect(clippy::indexing_slicing, reason = "while compiling, and within bounds")]
            {
                table[at] = crc;
            }
            at += 1;
        }
        table
    };
    bytes.iter().fold(crc, |crc, byte| {
        let [high, _] = crc.to_be_bytes();
        // One of 256, as the table has.
        crc << 8 ^ TABLE.get(usize::from(high ^ byte)).copied().unwrap_or_default()
    })
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

    const NAMES: [&str; 16] =
        ["", "a", ":", "%", "%3A", "%25", "a:b", "a:0", "0", "a%", "\0", "é:\u{10FFFF}", "{a}", "{", "}", "a:00}:0"];

    #[test]
    fn no_two_things_share_a_physical_key() {
        for is_spread in [false, true] {
            let mut seen = HashSet::new();
            for namespace in ["kv", "kv:e", "kv:", "", "k", "{", "{kv}"] {
                let namespace = Namespace::new(namespace, is_spread);
                assert!(seen.insert(namespace.registry().into_bytes()));
                assert!(seen.insert(namespace.trash().into_bytes()));
                assert!(seen.insert(namespace.hints().into_bytes()));
                for bucket in NAMES {
                    let keys = namespace.bucket(bucket);
                    for group in keys.groups() {
                        let generation = keys.generation(group);
                        assert!(keys.is_generation(&generation) && keys.split(&generation).is_none());
                        assert!(seen.insert(generation));
                    }
                    for generation in [0, 9, 10, 12] {
                        for group in keys.groups() {
                            assert!(seen.insert(keys.index(group, generation)));
                        }
                        for key in NAMES {
                            let physical = keys.entry(generation, key);
                            assert_eq!(keys.split(&physical), Some((generation, key.to_owned())));
                            assert!(physical.starts_with(&keys.entries(keys.group(key), generation)));
                            assert!(!keys.is_generation(&physical));
                            assert!(seen.insert(physical), "{bucket:?} {generation} {key:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_belongs_to_a_group_has_its_slot() {
        // Redis's own example of the checksum.
        assert_eq!(crc16(0, b"123456789"), 0x31C3);
        let tagged = |physical: &[u8]| {
            let open = physical.iter().position(|byte| *byte == b'{').unwrap();
            let close = physical.iter().position(|byte| *byte == b'}').unwrap();
            crc16(0, &physical[open + 1..close]) % SLOTS
        };
        for bucket in NAMES {
            let keys = Namespace::new("{n}", true).bucket(bucket);
            for key in NAMES {
                let group = keys.group(key);
                let slot = keys.slot(group);
                assert_eq!(tagged(&keys.entry(7, key)), slot);
                assert_eq!(tagged(&keys.index(group, 7)), slot);
                assert_eq!(tagged(&keys.generation(group)), slot);
            }
        }
    }

    #[test]
    fn an_entry_in_another_group_is_none() {
        let keys = Namespace::new("kv", true).bucket("b");
        let group = keys.group("k");
        let other = keys.groups().find(|other| *other != group).unwrap();
        assert_eq!(keys.split(&[keys.entries(other, 0), b"k".to_vec()].concat()), None);
    }

    #[test]
    fn members_come_back() {
        for name in NAMES {
            let keys = Namespace::new("kv", true).bucket(name);
            let (bucket, generation) = parse_member(keys.member(12).as_bytes()).unwrap();
            assert_eq!((unescape(bucket.as_bytes()).as_deref(), generation), (Some(name), 12));
        }
        assert_eq!(parse_member(b"b"), None);
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
