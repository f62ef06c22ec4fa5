//! TLS, and a user with no more permissions than the README asks for.

use std::path::Path;
use std::time::{Duration, Instant};

use kv_core::{ErrorKind, Store};
use kv_redis::{Config, Provider};
use libtest_mimic::Failed;

use crate::GroupRow;
use crate::refusals::refused;
use crate::support::control::Control;
use crate::support::process::wait_until;
use crate::support::smoke::smoke;
use crate::support::tls::Certificate;
use crate::support::{Server, block_on, ensure_eq};

pub(crate) const TESTS: &[GroupRow] = &[
    ("secure::a_user_with_few_permissions_can_do_everything_over_tls", everything),
    ("secure::what_tls_refuses", refusals),
];

/// The user of the README, whose keys begin with `shop:`; and a password for everybody else.
const USERS: &[&str] =
    &["--user", "app", "on", ">geheim", "~shop:*", "+@all", "-@admin", "-@dangerous", "+info", "--requirepass", "chef"];

fn store(url: &str) -> Result<Store, Failed> {
    Ok(Store::new(Provider::new(Config::from_url(&url.parse()?)?)?))
}

fn everything(program: &Path) -> Result<(), Failed> {
    let certificate = Certificate::new("127.0.0.1")?;
    let server = Server::start_tls(program, &certificate, USERS)?;
    let ca = certificate.ca();
    let url = format!("rediss://app:geheim@127.0.0.1:{}?namespace=shop&ca={}", server.port(), ca.display());
    let mut control = Control::connect(&server.socket(), Some("chef"))?;
    block_on(async {
        let shop = store(&url)?;
        smoke(&shop).await?;
        // What the store does in the background needs permissions too.
        wait_until("dropped entries are gone", || Ok(control.ask::<Vec<String>>(&["KEYS", "shop:e:*"])?.is_empty()))?;
        // Another namespace is not for this user.
        let other = store(&url.replace("=shop", "=other"))?.open_bucket("b").await?;
        refused(other.get("k").await, ErrorKind::AccessDenied, "may not do this")?;
        refused(other.set("k", "wert").await, ErrorKind::AccessDenied, "may not do this")?;
        Ok::<_, Failed>(())
    })?;
    ensure_eq!(control.ask::<Vec<String>>(&["KEYS", "other*"])?.is_empty(), true);
    Ok(())
}

/// Each within the time for connecting, and none tells the password.
fn refusals(program: &Path) -> Result<(), Failed> {
    let (ours, theirs) = (Certificate::new("127.0.0.1")?, Certificate::new("elsewhere.example")?);
    let right = Server::start_tls(program, &ours, &[])?;
    let misnamed = Server::start_tls(program, &theirs, &[])?;
    let plain = Server::start(program, &[])?;
    let tls = |server: &Server, certificate: &Certificate| {
        format!("rediss://:geheim@127.0.0.1:{}?ca={}&", server.port(), certificate.ca().display())
    };
    let (trusted, denied) = ("not one that is trusted for this name", &[ErrorKind::AccessDenied][..]);
    // What a server takes our greeting for depends on its bytes, which are random: often it waits for the rest of a line.
    let puzzled = &[ErrorKind::Timeout, ErrorKind::InvalidArgument][..];
    for (what, url, kinds, words) in [
        ("a certificate for another name", tls(&misnamed, &theirs), denied, trusted),
        ("a certificate of another authority", tls(&right, &theirs), denied, trusted),
        (
            "no TLS",
            format!("redis://:geheim@127.0.0.1:{}?", right.port()),
            &[ErrorKind::Unavailable],
            "can't be reached",
        ),
        ("a server without TLS", tls(&plain, &ours), puzzled, "connecting to 127.0.0.1"),
    ] {
        block_on(async {
            let bucket = store(&format!("{url}connect_timeout_ms=1000"))?.open_bucket("b").await?;
            let begun = Instant::now();
            let result = bucket.set("k", "wert").await;
            let took = begun.elapsed();
            let kind = result.as_ref().err().map(kv_core::Error::kind).filter(|kind| kinds.contains(kind));
            refused(result, kind.unwrap_or(kinds[0]), words)?;
            ensure_eq!(took < Duration::from_millis(1_500), true, "{what} took {took:?}");
            Ok::<(), Failed>(())
        })?;
    }
    Ok(())
}
