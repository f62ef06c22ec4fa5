//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::conform::{self, ConformArgs};
use crate::commands::wasi;

/// Key-value stores behind one contract.
///
/// A store is named by a URL: sled:FOLDER keeps its data in a folder, memory: forgets it at the end.
#[derive(Debug, Parser)]
#[command(
    name = "kv",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = "\
Examples:
  kv tour
  kv set people ann 1815
  kv get people ann
  kv --store 'sled:./other?durability=power' keys people

Exit codes: 0 done; 1 no such key, not there, swap lost, a case failed; 2 wrong usage; 3 failure."
)]
pub(crate) struct Cli {
    /// The store's URL; sled:./kv-data unless given
    #[arg(long, global = true, env = "KV_STORE", value_name = "URL", hide_env_values = true)]
    pub(crate) store: Option<String>,

    /// Write JSON: one document, or one on each line; errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what a store can do, call by call, and check each result
    #[command(after_help = "\
Works in a temporary store unless --store names one; there it uses a bucket of its own and removes it.

Examples:
  kv tour
  kv tour --store memory:")]
    Tour,

    /// Store a value
    #[command(after_help = "\
Examples:
  kv set people ann 1815
  kv set sessions 42 token --ttl 30m
  kv set files readme @README.md
  date | kv set files today -
  kv set names handle --raw @ann")]
    Set(Set),

    /// Read a value; exit code 1 if the key is absent
    #[command(after_help = "\
Writes the value's bytes as they are, with a line end only on a terminal. With --json a value that is not UTF-8 is \
base64 under value_base64.

Examples:
  kv get people ann
  kv get files photo > photo.jpg")]
    Get(Key),

    /// Remove keys; absent ones are passed over
    #[command(after_help = "\
Examples:
  kv delete people ann
  kv keys people --prefix old- -0 | xargs -0 kv delete people --")]
    Delete(Delete),

    /// Say whether a key is there; exit code 1 if not
    #[command(after_help = "\
Examples:
  kv exists people ann
  if kv exists people ann > /dev/null; then echo known; fi")]
    Exists(Key),

    /// List a bucket's keys, in no promised order
    #[command(after_help = "\
Reads page by page. On a terminal control characters are escaped.

Examples:
  kv keys people
  kv keys people --prefix a | head -n 5
  kv keys people -0 | xargs -0 -n 1 echo")]
    Keys(Keys),

    /// List the buckets that hold at least one entry
    #[command(after_help = "\
Examples:
  kv buckets
  kv --json buckets")]
    Buckets(Listing),

    /// Remove a whole bucket
    #[command(after_help = "\
Asks first on a terminal; elsewhere it needs --yes.

Examples:
  kv drop-bucket people
  kv drop-bucket people --yes")]
    DropBucket(DropBucket),

    /// List entries of a bucket that other programs made in the backend
    #[command(after_help = "\
For Redis, where redis-cli and others may make entries; takes one pass over all keys of the server. Shows how many \
entries were not listed before.

Examples:
  kv reindex people")]
    Reindex(Reindex),

    /// Copy the whole store into a new folder, where the engine can do so while it runs
    #[command(after_help = "\
The copy is one state of the store, with everything that was acknowledged before and no half batch. It is a store like \
any other. Beside the store, on the same file system, the two share most files, so that the copy is quick and small.

A store in a folder is open in one process at a time: a program that has it open makes copies itself, with \
Store::checkpoint. What can't be copied so is written out, bucket by bucket, with export.

Examples:
  kv --store rocksdb:./data backup ./copy
  kv --store rocksdb:./copy info")]
    Backup(Backup),

    /// Add to a counter and show its new value
    #[command(after_help = "\
An absent key counts as 0. A counter is plain decimal text, so that set and get work on it.

Examples:
  kv incr visits home
  kv incr visits home --by 10
  kv incr visits home --by -1")]
    Incr(Incr),

    /// Change a value only if it is the expected one; exit code 1 if it is not
    #[command(after_help = "\
One atomic step: looks whether the value is the expected one, and stores the new one or deletes. If it is another \
one, writes that to standard output and changes nothing. Stored values lose their deadline.

Examples:
  kv cas config owner --absent ann          # only if nobody has it
  kv cas config owner --expect ann bob      # only from ann to bob
  kv cas config owner --expect bob --delete # only if it is bob's")]
    Cas(Cas),

    /// Show how long an entry has left; exit code 1 if the key is absent
    #[command(after_help = "\
Examples:
  kv ttl sessions 42
  kv --json ttl sessions 42")]
    Ttl(Key),

    /// Show changes of a bucket as they happen
    #[command(after_help = "\
An embedded store is open in one process at a time, so there only expiries are seen.

Examples:
  kv watch sessions
  kv watch sessions --prefix user- --count 1
  kv --json watch sessions")]
    Watch(Watch),

    /// Store the entries of a file
    #[command(after_help = "\
Formats:
  lines   each line is a key, with an empty value; a line ends with \\n or \\r\\n
  csv     the first row names the columns; each row as a JSON object is the value
  ndjson  what export writes; deadlines are restored, entries whose deadline has passed are left out

After each batch 'acknowledged N' on standard error says that the first N records are stored for good, or were passed \
over. After a failure or a kill, --resume N goes on behind them.

Examples:
  kv import words /usr/share/dict/words --format lines
  kv import people people.csv --format csv --key-column id
  kv export people | kv --store sled:./copy import people - --format ndjson
  kv import people people.csv --format csv --key-column id --resume 120000")]
    Import(Import),

    /// Write a bucket's entries as lines of JSON, sorted by key
    #[command(after_help = "\
Each line is {\"key\":…,\"value\":…}; a value that is not UTF-8 is base64 under value_base64, and expires_at_ms is \
the deadline in milliseconds since 1970. Keeps the keys in memory, and never more values than 64 MiB.

Examples:
  kv export people > people.ndjson
  kv export people --prefix a")]
    Export(Export),

    /// Show what the store is and promises
    #[command(after_help = "\
Examples:
  kv info
  kv --json info")]
    Info,

    #[command(flatten)]
    Wasi(wasi::Command),

    #[command(about = conform::ABOUT, after_help = "\
Each case gets a store of its own: a new folder inside the one that the URL names, which is removed afterwards, or \
a namespace on the server, of which a few bytes for each dropped bucket stay.

Examples:
  kv conform memory:
  kv conform 'sled:./conform?durability=power'
  kv conform redis://localhost/9
  kv conform memory: --case batch::
  kv conform memory: --case TTL-2 --seed 7
  kv conform sled:./conform --markdown report.md --badge badge.svg
  kv conform --mutants --seeds 3
  kv conform memory: --through-wasm")]
    Conform(ConformArgs),
}

/// One entry.
#[derive(Debug, Args)]
pub(crate) struct Key {
    /// The bucket's name
    pub(crate) bucket: String,
    /// The entry's key; write -- before one that begins with -
    pub(crate) key: String,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    pub(crate) at: Key,
    /// The value; - reads standard input, @FILE a file
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: String,
    /// Take the value as it is written, also - and @FILE
    #[arg(long)]
    pub(crate) raw: bool,
    /// How long the entry is to live, such as 1500ms, 30s, 5m, 2h, 7days
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(crate) ttl: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The bucket's name
    pub(crate) bucket: String,
    /// The entries' keys; write -- before one that begins with -
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,
}

/// How names are listed.
#[derive(Debug, Args)]
pub(crate) struct Listing {
    /// End each name with a NUL byte instead of a line end, and escape nothing
    #[arg(short = '0', long = "null", conflicts_with = "json")]
    pub(crate) null: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Keys {
    /// The bucket's name
    pub(crate) bucket: String,
    /// Only keys that begin with this
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub(crate) prefix: String,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Args)]
pub(crate) struct DropBucket {
    /// The bucket's name
    pub(crate) bucket: String,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Reindex {
    /// The bucket's name
    pub(crate) bucket: String,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The folder to make; there must be nothing yet
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Incr {
    #[command(flatten)]
    pub(crate) at: Key,
    /// How much to add, a whole number
    #[arg(long, default_value_t = 1, allow_hyphen_values = true, value_name = "N")]
    pub(crate) by: i64,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("expected").required(true).args(["expect", "absent"])))]
#[command(group(clap::ArgGroup::new("new").required(true).args(["value", "delete"])))]
pub(crate) struct Cas {
    #[command(flatten)]
    pub(crate) at: Key,
    /// The new value; - reads standard input, @FILE a file
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: Option<String>,
    /// Swap if this is the value; - reads standard input, @FILE a file
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) expect: Option<String>,
    /// Swap if there is no such key
    #[arg(long)]
    pub(crate) absent: bool,
    /// Delete the entry instead of storing a new value
    #[arg(long, conflicts_with = "absent")]
    pub(crate) delete: bool,
    /// Take both values as they are written, also - and @FILE
    #[arg(long)]
    pub(crate) raw: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The bucket's name
    pub(crate) bucket: String,
    /// Only keys that begin with this
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub(crate) prefix: String,
    /// End after this many changes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The bucket's name
    pub(crate) bucket: String,
    /// The file; - reads standard input
    pub(crate) file: PathBuf,
    /// How the file is written
    #[arg(long)]
    pub(crate) format: Format,
    /// The CSV column that holds the keys
    #[arg(long, value_name = "NAME", required_if_eq("format", "csv"))]
    pub(crate) key_column: Option<String>,
    /// Go on behind the first N records, which were acknowledged before
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    pub(crate) resume: u64,
    /// Pass over bad records, telling each, instead of stopping
    #[arg(long)]
    pub(crate) skip_bad: bool,
}

/// How a file of entries is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Each line is a key
    Lines,
    /// Comma-separated values with a row of names
    Csv,
    /// One JSON object on each line
    Ndjson,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The bucket's name
    pub(crate) bucket: String,
    /// Only keys that begin with this
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub(crate) prefix: String,
}
