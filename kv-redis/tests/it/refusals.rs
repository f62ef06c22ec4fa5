//! Bad input: each clear, typed, and nothing lost.

use std::time::Duration;

use kv_core::{Effect, ErrorKind, Result};
use kv_redis::{Address, Secret};
use libtest_mimic::Failed;

use crate::Row;
use crate::support::process::wait_until;
use crate::support::{PATIENCE, Server, block_on, ensure_eq, store, store_with};

pub(crate) const TESTS: &[Row] = &[
    (&["--requirepass", "geheim"], "refusals::users_and_passwords", passwords),
    (&[], "refusals::missing_permissions", permissions),
    (&["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"], "refusals::full_memory", memory),
    (&[], "refusals::other_types_databases_and_servers", others),
    (&["--cluster-enabled", "yes"], "refusals::a_server_of_a_cluster", cluster),
    (&["--replicaof", "127.0.0.1 1"], "refusals::a_replica", replica),
    (&["--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "no"], "refusals::a_replica_without_data", alone),
    (&["--min-replicas-to-write", "1"], "refusals::too_few_replicas", too_few),
    (&["--busy-reply-threshold", "50"], "refusals::a_server_that_is_busy", busy),
    (&["--save", "3600 1"], "refusals::a_server_that_cannot_save", cannot_save),
];

pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, words: &str) -> Result<(), Failed> {
    let error = result.expect_err("it should have been refused");
    ensure_eq!((error.kind(), error.effect()), (kind, Effect::None), "{error}");
    if !error.to_string().contains(words) {
        return Err(format!("{error} does not say {words}").into());
    }
    let all = format!("{error:?} {}", error.trace());
    if all.contains("geheim") || all.contains("wert") {
        return Err(format!("a secret in {all}").into());
    }
    Ok(())
}

fn passwords(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let none = store(server, "p").open_bucket("b").await?;
        refused(none.get("k").await, ErrorKind::AccessDenied, "wants a user and a password")?;
        for (user, password) in [(None, "falsch"), (Some("nobody"), "geheim")] {
            let wrong = store_with(server, "p", |config| {
                config.user = user.map(str::to_owned);
                config.password = Some(Secret::new(password));
            });
            refused(wrong.open_bucket("b").await?.get("k").await, ErrorKind::AccessDenied, "user and password")?;
        }
        let right = store_with(server, "p", |config| config.password = Some(Secret::new("geheim")));
        Ok(right.open_bucket("b").await?.set("k", "wert").await?)
    })
}

fn permissions(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let mut other = server.client()?;
        let mut open = |user: &str, rules: &[&str]| {
            let mut command = redis::cmd("ACL");
            command.arg("SETUSER").arg(user).arg("on").arg(">geheim").arg("~*").arg(rules);
            let () = command.query(&mut other)?;
            Ok::<_, Failed>(store_with(server, "p", |config| {
                config.user = Some(user.to_owned());
                config.password = Some(Secret::new("geheim"));
            }))
        };
        let reader = open("reader", &["+@read", "+@connection", "+@transaction", "-@write"])?;
        let bucket = reader.open_bucket("b").await?;
        ensure_eq!(bucket.get("k").await?, None);
        refused(bucket.set("k", "wert").await, ErrorKind::AccessDenied, "may not do this")?;
        refused(bucket.increment("k", 1).await, ErrorKind::AccessDenied, "may not do this")?;
        // Without transactions the commands of one run by themselves.
        let bare = open("bare", &["+@all", "-multi"])?.open_bucket("b").await?;
        let error = bare.increment("n", 1).await.unwrap_err();
        ensure_eq!((error.kind(), error.effect()), (ErrorKind::AccessDenied, Effect::Unknown), "{error}");
        // A script that is refused half-way has written.
        let half = open("half", &["+@all", "-zadd"])?.open_bucket("b").await?;
        let error = half.compare_and_swap("new", None, Some("wert".into())).await.unwrap_err();
        ensure_eq!((error.kind(), error.effect()), (ErrorKind::AccessDenied, Effect::Unknown), "{error}");
        Ok(())
    })
}

fn memory(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let bucket = store(server, "m").open_bucket("b").await?;
        bucket.set("kept", "wert").await?;
        let value = vec![b'v'; 100 << 10];
        let mut n = 0;
        let error = loop {
            if let Err(error) = bucket.set(&format!("{n}"), value.clone()).await {
                break error;
            }
            n += 1;
        };
        refused::<()>(Err(error), ErrorKind::ResourceExhausted, "memory is full")?;
        ensure_eq!(bucket.get("kept").await?.as_deref(), Some(&b"wert"[..]));
        bucket.delete("0").await?;
        Ok(())
    })
}

fn others(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let bucket = store(server, "o").open_bucket("b").await?;
        let () = redis::cmd("RPUSH").arg("o:e:b:0:list").arg("wert").query(&mut server.client()?)?;
        refused(bucket.get("list").await, ErrorKind::Corrupt, "another Redis type")?;
        refused(bucket.increment("list", 1).await, ErrorKind::Corrupt, "another Redis type")?;
        refused(bucket.cas("list").await.map(|_| ()), ErrorKind::Corrupt, "another Redis type")?;
        let far = store_with(server, "o", |config| config.database = 99);
        refused(far.open_bucket("b").await?.get("k").await, ErrorKind::InvalidArgument, "database")?;
        // A server that speaks something else, and one that says nothing.
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let address = Address::Tcp { host: "127.0.0.1".to_owned(), port, tls: None };
        let silent = store_with(server, "o", |config| {
            config.address = address.clone();
            config.connect_timeout = Duration::from_millis(100);
        });
        refused(silent.open_bucket("b").await?.get("k").await, ErrorKind::Timeout, "did not answer in time")?;
        let speaker = std::thread::spawn(move || -> std::io::Result<()> {
            use std::io::{Read, Write};
            // The one before has been waiting.
            drop(listener.accept()?);
            let (mut stream, _) = listener.accept()?;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
            _ = stream.read(&mut [0; 1024])?;
            Ok(())
        });
        let web = store_with(server, "o", |config| config.address = address);
        refused(web.open_bucket("b").await?.get("k").await, ErrorKind::InvalidArgument, "no Redis server")?;
        speaker.join().expect("it does not panic")?;
        let nobody = store_with(server, "o", |config| {
            config.address = Address::Unix("/no/such/socket".into());
        });
        refused(nobody.open_bucket("b").await?.get("k").await, ErrorKind::Unavailable, "can't be reached")
    })
}

fn cluster(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let bucket = store(server, "c").open_bucket("b").await?;
        let error = bucket.set("k", "wert").await.unwrap_err();
        // Without slots it is down; with some it sends us elsewhere.
        ensure_eq!(error.effect(), Effect::None);
        ensure_eq!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::InvalidArgument), true, "{error}");
        Ok(())
    })
}

fn replica(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let bucket = store(server, "r").open_bucket("b").await?;
        refused(bucket.set("k", "wert").await, ErrorKind::Unavailable, "replica")?;
        refused(bucket.delete("k").await, ErrorKind::Unavailable, "replica")
    })
}

fn alone(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let bucket = store(server, "a").open_bucket("b").await?;
        refused(bucket.get("k").await, ErrorKind::Unavailable, "lost its primary")
    })
}

fn too_few(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let bucket = store(server, "f").open_bucket("b").await?;
        ensure_eq!(bucket.get("k").await?, None);
        refused(bucket.set("k", "wert").await, ErrorKind::Unavailable, "too few replicas")?;
        refused(bucket.increment("n", 1).await, ErrorKind::Unavailable, "too few replicas")?;
        refused(bucket.cas("k").await?.swap("wert").await.map(|_| ()), ErrorKind::Unavailable, "too few replicas")?;
        // A script is refused where it writes, and may have written before.
        let error = bucket.compare_and_swap("k", None, Some("wert".into())).await.unwrap_err();
        ensure_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown), "{error}");
        ensure_eq!(bucket.get("k").await?, None);
        Ok(())
    })
}

fn busy(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let bucket = store(server, "y").open_bucket("b").await?;
        bucket.set("k", "wert").await?;
        let (mut endless, mut other) = (server.client()?, server.client()?);
        let script = std::thread::spawn(move || {
            redis::cmd("EVAL").arg("while true do end").arg(0).query::<redis::Value>(&mut endless)
        });
        let begun = std::time::Instant::now();
        let error = loop {
            match bucket.set("k", "wert").await {
                Err(error) => break error,
                Ok(()) => ensure_eq!(begun.elapsed() < PATIENCE, true, "the server is not busy"),
            }
        };
        refused::<()>(Err(error), ErrorKind::Unavailable, "somebody's script")?;
        refused(bucket.get("k").await, ErrorKind::Unavailable, "somebody's script")?;
        refused(bucket.increment("n", 1).await, ErrorKind::Unavailable, "somebody's script")?;
        refused(bucket.compare_and_swap("k", None, None).await, ErrorKind::Unavailable, "somebody's script")?;
        let () = redis::cmd("SCRIPT").arg("KILL").query(&mut other)?;
        ensure_eq!(script.join().expect("it does not panic").is_err(), true);
        ensure_eq!(bucket.get("k").await?.is_some(), true);
        Ok(())
    })
}

fn cannot_save(server: &mut Server) -> Result<(), Failed> {
    block_on(async {
        let bucket = store(server, "s").open_bucket("b").await?;
        bucket.set("k", "wert").await?;
        // In the place of the file that it saves to.
        std::fs::create_dir(server.folder().join("dump.rdb"))?;
        let mut other = server.client()?;
        let _: String = redis::cmd("BGSAVE").query(&mut other)?;
        wait_until("saving has failed", || {
            let text: String =
                redis::cmd("INFO").arg("persistence").query(&mut other).map_err(std::io::Error::other)?;
            Ok(text.contains("rdb_last_bgsave_status:err"))
        })?;
        refused(bucket.set("k", "wert").await, ErrorKind::Unavailable, "can't save")?;
        refused(bucket.increment("n", 1).await, ErrorKind::Unavailable, "can't save")?;
        ensure_eq!(bucket.get("k").await?.is_some(), true);
        Ok(())
    })
}
