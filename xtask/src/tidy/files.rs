use std::collections::BTreeMap;

/// A source file with more lines has two reasons to change.
const MOST_LINES: usize = 600;

/// What marks a table or generated code, which may be longer, in one of a file's first lines.
const LONG_MARKS: [&str; 2] = [concat!("@", "generated"), concat!("@", "table")];

/// Words that say that something is unfinished, and folders of one machine. Put together here so that this file
/// does not hold them.
const BANNED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("dbg", "!("),
    concat!("todo", "!("),
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/tm", "p/"),
];

/// Ends of type names that say nothing.
const EMPTY_ENDS: &[&str] = &["Manager", "Helper", "Util", "Utils", "Impl"];

/// Source files are short, hold nothing unfinished and no path of one machine, and name types for what they are.
pub(crate) fn check(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| is_written_by_hand(path)) {
        let lines = text.lines().count();
        let long = text.lines().take(5).any(|line| LONG_MARKS.iter().any(|mark| line.contains(mark)));
        if path.ends_with(".rs") && lines > MOST_LINES && !long {
            faults.push(format!("{path} has {lines} lines, more than {MOST_LINES}; split it"));
        }
        for (number, line) in (1..).zip(text.lines()) {
            for word in BANNED.iter().filter(|word| holds(line, word)) {
                faults.push(format!("{path}:{number} holds {word}"));
            }
            if let Some(name) = type_name(line).filter(|name| EMPTY_ENDS.iter().any(|end| name.ends_with(end))) {
                faults.push(format!("{path}:{number} names a type {name}; name it for what it is"));
            }
        }
    }
    faults
}

fn is_written_by_hand(path: &str) -> bool {
    const ENDS: &[&str] = &[".rs", ".md", ".toml", ".sh", ".yml", ".ci/run"];
    ENDS.iter().any(|end| path.ends_with(end))
}

/// Whether the line holds the word, not as a part of a longer word.
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        // A path goes on after its last slash; only what stands before it tells whether it begins at the root.
        if word.starts_with('/') {
            !part(before) && before != Some('.')
        } else {
            !part(before) && (word.ends_with('(') || !part(after))
        }
    })
}

/// The type that the line defines.
fn type_name(line: &str) -> Option<&str> {
    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let mut word = words.next()?;
    while matches!(word, "pub" | "crate" | "super" | "in" | "unsafe") {
        word = words.next()?;
    }
    if matches!(word, "struct" | "enum" | "trait" | "type" | "union") { words.next() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        check(&BTreeMap::from([(path.to_owned(), text.to_owned())]))
    }

    #[test]
    fn a_long_file_is_refused_unless_it_is_a_table() {
        let long = "fn f() {}\n".repeat(601);
        assert_eq!(faults("a/src/x.rs", &long), ["a/src/x.rs has 601 lines, more than 600; split it"]);
        assert_eq!(faults("a/src/x.rs", &"fn f() {}\n".repeat(600)).len(), 0);
        assert_eq!(faults("a/src/x.rs", &format!("//! {}\n{long}", LONG_MARKS[0])).len(), 0);
        assert_eq!(faults("docs/x.md", &long).len(), 0);
    }

    #[test]
    fn every_banned_word_is_found_where_it_stands() {
        for word in BANNED {
            let found = faults("a/src/x.rs", &format!("\n// see {word}x) or {word} \n"));
            assert_eq!(found, [format!("a/src/x.rs:2 holds {word}")]);
        }
        let parts = format!("{}S a{} x{}y", BANNED[0], BANNED[2], BANNED[8]);
        assert_eq!(faults("a/src/x.rs", &parts), Vec::<String>::new());
        assert_eq!(faults("Cargo.lock", BANNED[0]), Vec::<String>::new());
    }

    #[test]
    fn a_type_is_named_for_what_it_is() {
        let found = faults("a/src/x.rs", "pub(crate) struct FileManager;\n");
        assert_eq!(found, ["a/src/x.rs:1 names a type FileManager; name it for what it is"]);
        assert_eq!(faults("a/src/x.rs", "pub struct Manager1;\n// the struct ManagerHelper\n").len(), 0);
        assert_eq!(faults("a/src/x.rs", "trait RunImpl {}").len(), 1);
    }
}
