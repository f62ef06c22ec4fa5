//! Bad input: one clear sentence, the right exit code, quickly, and no password in it.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::needs::{Need, Test};
use crate::process::free_port;
use crate::run::{Kv, Ran};
use crate::server;

pub(crate) const TESTS: &[Test] = &[
    Test { name: "refusals::a_port_where_nobody_listens", needs: &[Need::Redis], run: nobody },
    Test { name: "refusals::a_port_where_nobody_answers", needs: &[], run: silence },
    Test { name: "refusals::a_wrong_password_is_not_shown", needs: &[Need::Redis], run: passwords },
    Test { name: "refusals::a_bad_url_is_a_usage_mistake", needs: &[], run: urls },
];

/// Two seconds are for a loaded machine; a person should not wait longer for a mistake to be told.
const QUICK: Duration = Duration::from_secs(2);

/// Every kind of command.
const COMMANDS: &[&[&str]] = &[
    &["get", "b", "k"],
    &["set", "b", "k", "v"],
    &["keys", "b"],
    &["export", "b"],
    &["buckets"],
    &["info"],
    &["tour"],
    &["watch", "b"],
];

fn quickly(kv: &Kv, args: &[&str]) -> Ran {
    let begun = Instant::now();
    let ran = kv.run(args);
    assert!(begun.elapsed() < QUICK, "{args:?} took {:?}", begun.elapsed());
    assert!(!format!("{}{}", String::from_utf8_lossy(&ran.out), ran.err).contains("geheim"), "{args:?}: {ran:?}");
    ran
}

fn nobody() {
    let port = free_port().unwrap();
    let kv = Kv::at(format!("redis://:geheim@127.0.0.1:{port}"));
    for args in COMMANDS {
        let ran = quickly(&kv, args).code(3).says(&format!("connecting to 127.0.0.1:{port}: it can't be reached"));
        // A tour shows what each of its calls gave.
        assert!(ran.out.is_empty() || *args == ["tour"], "{args:?}: {ran:?}");
    }
    let ran = quickly(&kv, &["get", "b", "k", "--json"]).code(3);
    assert!(ran.err.contains("\"kind\":\"Unavailable\""), "{}", ran.err);
}

fn silence() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let kv = Kv::at(format!("redis://:geheim@127.0.0.1:{port}?connect_timeout_ms=300"));
    for args in COMMANDS {
        quickly(&kv, args).code(3).says("did not answer in time");
    }
}

fn passwords() {
    let closed = server(&["--requirepass", "richtig"]);
    let at = |user: &str| Kv::at(format!("redis://{user}127.0.0.1:{}", closed.port()));
    for user in [":geheim@", "default:geheim@", "somebody:geheim@"] {
        for args in COMMANDS {
            quickly(&at(user), args).code(3).says("does not take this user and password");
        }
        let ran = quickly(&at(user), &["get", "b", "k", "--json"]).code(3);
        assert!(ran.err.contains("\"kind\":\"AccessDenied\""), "{}", ran.err);
    }
    quickly(&at(""), &["get", "b", "k"]).code(3).says("wants a user and a password");
    assert_eq!(at(":richtig@").ok(&["buckets"]).text(), "");
}

fn urls() {
    for (url, text) in [
        ("redis:", "names no host"),
        ("redis://:geheim@host:port", "host:port"),
        ("redis://:geheim@host/zero", "number of a database"),
        ("redis://:geheim@host?timeout=1", "did you mean timeout_ms?"),
        ("redis://:geheim@host?password_env=HOME", "give the password once"),
        ("redis://host?password_file=/no/such/file", "can't be read"),
        ("unix:", "names no socket"),
    ] {
        for args in COMMANDS {
            quickly(&Kv::at(url), args).code(2).says(text);
        }
    }
    // This one is read when it is needed.
    let ran = quickly(&Kv::at("rediss://:geheim@127.0.0.1:1?ca=/no/such/file"), &["get", "b", "k"]);
    assert_ne!(ran.says("ca names can't be read").code, 0);
}
