//! An import that is killed loses nothing that it said was acknowledged.

use std::collections::HashSet;
use std::time::Duration;

use crate::run::Kv;
use crate::shared::{import_until_killed, words};

#[test]
fn a_killed_import_keeps_what_it_acknowledged_and_can_go_on() {
    let kv = Kv::new();
    let words = words(30_000);
    let file = kv.file("words", words.join("\n"));
    // The first kill may come before an import has made the store.
    kv.ok(&["set", "other", "k", "v"]);
    let mut killed = 0;
    for round in 0..20 {
        let bucket = format!("round {round}");
        // Spread over the import by a number that has no common factor with the rounds, and over a batch.
        let (lines, then) = (words.len() * (round * 7 % 20) / 22, Duration::from_micros(50 * round as u64));
        let acknowledged = import_until_killed(&kv, &bucket, &file, lines, then);
        let Some(acknowledged) = acknowledged else { continue };
        killed += 1;
        let listed = kv.ok(&["keys", &bucket, "-0"]);
        let found: HashSet<&str> = listed.text().split('\0').collect();
        let lost = words.iter().take(acknowledged).filter(|word| !found.contains(word.as_str())).count();
        assert_eq!(lost, 0, "of {acknowledged} acknowledged, in round {round}");
        let resume = acknowledged.to_string();
        kv.ok(&["import", &bucket, &file, "--format", "lines", "--resume", &resume]);
        let listed = kv.ok(&["keys", &bucket]);
        assert_eq!(listed.text().lines().collect::<HashSet<_>>().len(), words.len());
        kv.ok(&["drop-bucket", &bucket, "--yes"]);
    }
    assert!(killed >= 15, "only {killed} of 20 imports were killed before they ended");
}
