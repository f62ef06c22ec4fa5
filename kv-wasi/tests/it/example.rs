use crate::on;

const SET: &str = "golem:examples/api#set";
const GET: &str = "golem:examples/api#get";

/// The mission's example, in each form.
#[tokio::test]
async fn a_value_comes_back_and_a_missing_key_is_none() {
    for name in ["example-2023", "example-0.1.0", "example-2023-wasi"] {
        let store = kv_memory::open_named("").unwrap();
        let program = on(name, &store);
        let mut first = program.start().await;
        first.call::<_, ()>(SET, ("b", "k", &b"v\x00\xff"[..])).await.unwrap();
        let mut second = program.start().await;
        let (found,): (Option<Vec<u8>>,) = second.call(GET, ("b", "k")).await.unwrap();
        assert_eq!(found.as_deref(), Some(&b"v\x00\xff"[..]), "{name}");
        let (found,): (Option<Vec<u8>>,) = second.call(GET, ("b", "missing")).await.unwrap();
        assert_eq!(found, None, "{name}");
    }
}

/// The host that the README shows.
#[allow(dead_code, reason = "its `main` is for the example")]
#[path = "../../examples/host.rs"]
mod host;

#[tokio::test]
async fn a_whole_host_takes_thirty_lines() {
    let source = include_str!("../../examples/host.rs");
    let lines = source.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("//!"));
    assert!(lines.count() <= 30);
    let found = host::run(&std::fs::read(crate::run::path("example-2023")).unwrap()).await.unwrap();
    assert_eq!(found.as_deref(), Some(&b"world"[..]));
}
