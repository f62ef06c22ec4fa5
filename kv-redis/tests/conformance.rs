//! The conformance suite on servers of its own: one, sentinels with a primary and a replica, a cluster of six nodes.

#[path = "support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::sync::Arc;

use kv_conformance::{FromFn, Harness};
use kv_core::{Batches, Consistency, Declared, Durability, Store, StoreUrl, Watching};
use kv_redis::{Config, Provider, declared};
use support::cluster::Cluster;
use support::sentinel::Sentinels;
use support::{Server, lacking, run_alone};

/// The contract's table (section 2), written out: what each must declare, whatever it does declare.
fn required(is_one: bool) -> Declared {
    Declared {
        engine: "redis".to_owned(),
        atomic: true,
        cache: true,
        watch: Some(Watching::Latest),
        consistency: if is_one { Consistency::LinearizablePerKey } else { Consistency::ReadYourWrites },
        batches: if is_one { Batches::Atomic } else { Batches::PerKey },
        durability: Durability::Volatile,
        exclusive: false,
    }
}

fn harness(word: &'static str, url: &str) -> Result<(&'static str, Arc<dyn Harness>), kv_core::Error> {
    let config = Config::from_url(&url.parse::<StoreUrl>()?)?;
    let declared = declared(&config);
    let (scheme, _) = url.split_once("//").unwrap_or((url, ""));
    let harness = FromFn::new(format!("{scheme}//SERVERS"), declared, move |id| {
        let mut config = config.clone();
        config.namespace = id;
        async move { Ok(Store::new(Provider::new(config)?)) }
    })
    .required(required(word == "one"))
    .repeat(move |case, seed| {
        format!("KV_CONFORMANCE_SEED={seed} cargo test -p kv-redis --test conformance -- --exact {word}::{case}")
    });
    Ok((word, Arc::new(harness)))
}

fn main() -> ExitCode {
    let Some(program) = support::redis_server() else {
        return run_alone(lacking("conformance", "redis-server"));
    };
    let run = || {
        let server = Server::start(&program, &[])?;
        let sentinels = Sentinels::start(&program, &[])?;
        let cluster = Cluster::start(&program, &[])?;
        let harnesses = [
            harness("one", &format!("redis://127.0.0.1:{}", server.port()))?,
            harness("sentinel", &format!("redis+sentinel://{}/main", sentinels.hosts()))?,
            harness("cluster", &format!("redis+cluster://{}", cluster.hosts()))?,
        ];
        Ok::<_, Box<dyn std::error::Error>>(kv_conformance::main_of(harnesses))
    };
    run().unwrap_or_else(|error| {
        eprintln!("starting the servers failed: {error}");
        ExitCode::FAILURE
    })
}
