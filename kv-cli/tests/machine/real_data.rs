//! Real data: Debian's words and Unicode's characters.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use crate::Test;
use crate::needs::{Need, UNICODE, WORDS};
use crate::run::Kv;
use crate::shared::import_until_killed;

pub(crate) const TESTS: &[Test] = &[
    Test { name: "real_data::words_come_back", needs: &[Need::Words], run: words_come_back },
    Test { name: "real_data::characters_come_back", needs: &[Need::Unicode], run: characters_come_back },
    Test { name: "real_data::killed_imports_lose_nothing", needs: &[Need::Words], run: killed_imports_lose_nothing },
];

fn words_come_back() {
    words(&Kv::new(), &[Kv::new()]);
}

/// Debian's words go in, are listed and go out, and into other stores.
pub(crate) fn words(kv: &Kv, copies: &[Kv]) {
    let text = std::fs::read_to_string(WORDS).unwrap();
    let words: BTreeSet<&str> = text.lines().collect();
    assert!(words.len() > 300_000, "{} words", words.len());
    kv.ok(&["import", "words", WORDS, "--format", "lines"]);
    let listed = kv.ok(&["keys", "words"]);
    assert_eq!(listed.text().lines().count(), words.len(), "a key is listed twice or not at all");
    assert!(listed.text().lines().collect::<BTreeSet<_>>() == words, "keys differ from the words");
    copies_are_identical(kv, copies, "words");
}

fn characters_come_back() {
    let kv = Kv::new();
    let table = std::fs::read_to_string(UNICODE).unwrap();
    let file = kv.file("unicode.csv", csv(&table));
    kv.ok(&["import", "unicode", &file, "--format", "csv", "--key-column", "code"]);
    let listed = kv.ok(&["keys", "unicode"]);
    let codes: BTreeSet<&str> = table.lines().filter_map(|line| line.split(';').next()).collect();
    assert!(codes.len() > 30_000, "{} characters", codes.len());
    assert!(listed.text().lines().collect::<BTreeSet<_>>() == codes, "keys differ from the codes");
    let snowman = kv.ok(&["get", "unicode", "2603"]);
    let snowman: serde_json::Value = serde_json::from_slice(&snowman.out).unwrap();
    assert_eq!((&snowman["code"], &snowman["name"]), (&"2603".into(), &"SNOWMAN".into()));
    copies_are_identical(&kv, &[Kv::new()], "unicode");
}

/// Export, import into other stores and export again: the same bytes.
fn copies_are_identical(kv: &Kv, copies: &[Kv], bucket: &str) {
    let first = kv.ok(&["export", bucket]).out;
    let file = kv.file("export", &first);
    for copy in copies {
        copy.ok(&["import", bucket, &file, "--format", "ndjson"]);
        assert!(first == copy.ok(&["export", bucket]).out, "the second export differs from the first");
    }
}

fn killed_imports_lose_nothing() {
    let text = std::fs::read_to_string(WORDS).unwrap();
    let words: Vec<&str> = text.lines().collect();
    let all: BTreeSet<&str> = words.iter().copied().collect();
    let mut killed = 0;
    for round in 0..20 {
        let kv = Kv::new();
        // Spread over the import by a number that has no common factor with the rounds, and over a batch.
        let (lines, then) = (words.len() * (round * 7 % 20) / 22, Duration::from_micros(200 * round as u64));
        let Some(acknowledged) = import_until_killed(&kv, "words", WORDS, lines, then) else { continue };
        if acknowledged == 0 {
            // Perhaps there is no store yet.
            continue;
        }
        killed += 1;
        let listed = kv.ok(&["keys", "words"]);
        let found: BTreeSet<&str> = listed.text().lines().collect();
        let lost = words.iter().take(acknowledged).filter(|word| !found.contains(*word)).count();
        assert_eq!(lost, 0, "of {acknowledged} acknowledged, in round {round}");
        assert!(found.is_subset(&all), "there are keys that nobody wrote, in round {round}");
    }
    assert!(killed >= 18, "only {killed} of 20 imports were killed between their first and last batch");
}

/// Unicode's own format has semicolons and no names.
fn csv(table: &str) -> String {
    let mut csv = "code,name,category,combining,bidi,decomposition,decimal,digit,numeric,mirrored,old name,comment,upper,lower,title\n".to_owned();
    for line in table.lines() {
        let fields: Vec<String> = line.split(';').map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
        writeln!(csv, "{}", fields.join(",")).unwrap();
    }
    csv
}
