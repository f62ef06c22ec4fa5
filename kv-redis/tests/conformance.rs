//! The conformance suite on a server of its own.

#[path = "support/mod.rs"]
mod support;

use std::process::ExitCode;

use kv_conformance::FromFn;
use kv_core::{Batches, Consistency, Declared, Durability, Store, Watching};
use kv_redis::{Config, Provider, declared};
use support::{Server, lacking, run_alone};

/// The contract's table (section 2), written out: what this provider must declare, whatever it does declare.
fn required() -> Declared {
    Declared {
        engine: "redis".to_owned(),
        atomic: true,
        cache: true,
        watch: Some(Watching::Latest),
        consistency: Consistency::LinearizablePerKey,
        batches: Batches::Atomic,
        durability: Durability::Volatile,
        exclusive: false,
    }
}

fn main() -> ExitCode {
    let Some(program) = support::redis_server() else {
        return run_alone(lacking("conformance", "redis-server"));
    };
    let server = match Server::start(&program, &[]) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("starting {} failed: {error}", program.display());
            return ExitCode::FAILURE;
        }
    };
    let address = server.address();
    let harness = FromFn::new("redis://SERVER", declared(&Config::new(address.clone())), move |id| {
        let mut config = Config::new(address.clone());
        config.namespace = id;
        async move { Ok(Store::new(Provider::new(config)?)) }
    })
    .required(required());
    let code = kv_conformance::main(harness);
    drop(server);
    code
}
