//! Which URLs open, and how the others are refused.

#![allow(clippy::expect_used, reason = "tests may fail loudly, their helpers too")]

use kv::{ErrorKind, Support};

async fn refused(url: &str) -> (ErrorKind, String) {
    let error = kv::open(url).await.expect_err(url);
    if error.kind() != ErrorKind::Locked {
        assert_eq!(kv::check(url).expect_err(url).kind(), error.kind());
    }
    (error.kind(), error.trace())
}

#[tokio::test]
async fn memory_without_a_name_is_a_store_of_its_own() {
    let one = kv::open("memory:").await.unwrap();
    let other = kv::open("memory:").await.unwrap();
    one.open_bucket("b").await.unwrap().set("k", "v").await.unwrap();
    assert!(other.buckets().await.unwrap().is_empty());
}

#[tokio::test]
async fn memory_with_a_name_is_one_store_that_stays() {
    let store = kv::open("memory:stays").await.unwrap();
    assert_eq!(refused("memory:stays").await.0, ErrorKind::Locked);
    store.open_bucket("b").await.unwrap().set("k", "v").await.unwrap();
    store.close().await.unwrap();
    let again = kv::open_existing("memory:stays").await.unwrap();
    assert_eq!(again.buckets().await.unwrap(), ["b"]);
}

#[tokio::test]
async fn an_unknown_scheme_names_the_nearest() {
    for (url, near) in [("sledd:./x", "sled"), ("memroy:", "memory"), ("rocksbd:./x", "rocksdb"), ("redi://h", "redis")]
    {
        let (kind, text) = refused(url).await;
        assert_eq!(kind, ErrorKind::InvalidArgument);
        assert!(text.contains(&format!("did you mean {near}?")), "{text}");
    }
}

#[tokio::test]
async fn a_provider_that_is_not_compiled_in_is_refused_with_its_feature() {
    for scheme in kv::schemes() {
        let url = format!("{}://kv-test-host/x", scheme.name);
        match scheme.support {
            Support::Included => {}
            Support::LeftOut(feature) => {
                let (kind, text) = refused(&url).await;
                assert_eq!(kind, ErrorKind::Unsupported);
                assert!(text.contains(&format!("build with --features {feature}")), "{text}");
            }
        }
    }
}

#[test]
fn the_table_says_what_the_build_has() {
    let support = |name| kv::schemes().into_iter().find(|scheme| scheme.name == name).unwrap().support;
    assert_eq!(support("memory"), Support::Included);
    let sled = if cfg!(feature = "sled") { Support::Included } else { Support::LeftOut("sled") };
    assert_eq!(support("sled"), sled);
    let rocksdb = if cfg!(feature = "rocksdb") { Support::Included } else { Support::LeftOut("rocksdb") };
    assert_eq!(support("rocksdb"), rocksdb);
}

#[tokio::test]
async fn a_broken_url_is_refused_without_being_repeated() {
    for url in ["", "data", "memory:%zz", "memory:x?secret=1", "memory://host/x", "redis://user:pa%zz@host"] {
        let (kind, text) = refused(url).await;
        assert_eq!(kind, ErrorKind::InvalidArgument, "{url}");
        assert!(!text.contains("zz"), "{text}");
    }
}

#[cfg(feature = "sled")]
#[tokio::test]
async fn only_open_makes_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let url = format!("sled:{}", path.display());
    let error = kv::open_existing(&url).await.unwrap_err();
    assert!(error.trace().contains("no store"), "{error:?}");
    assert!(!path.exists());
    let store = kv::open(&url).await.unwrap();
    store.open_bucket("b").await.unwrap().set("k", "v").await.unwrap();
    store.close().await.unwrap();
    let again = kv::open_existing(&url).await.unwrap();
    assert_eq!(again.buckets().await.unwrap(), ["b"]);
    again.close().await.unwrap();
}
