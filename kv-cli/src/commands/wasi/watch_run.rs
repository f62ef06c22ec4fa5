//! `kv watch-run`.

use kv::Event;
use kv_wasi::{Delivered, Watcher};
use wasmtime::Store;
use wasmtime_wasi::WasiCtx;

use super::WatchRunArgs;
use super::engine::Running;
use super::policy::Granted;
use super::program::{Program, wasi};
use super::state::State;
use crate::exit::{Ended, Failure, Verdict};
use crate::output::note;
use crate::session::Session;

pub(crate) async fn watch_run(args: WatchRunArgs, session: &mut Session) -> Ended {
    let granted = Granted::open(&args.which, session.url()).await?;
    let ended = watch_on(&args, &granted).await;
    granted.close().await?;
    ended
}

async fn watch_on(args: &WatchRunArgs, granted: &Granted) -> Ended {
    let program = Program::load(Running::plain()?, &args.which, granted)?;
    let bucket = granted.access.bucket_to_watch(&args.bucket).await.map_err(|refused| {
        Failure::data(format!("the bucket {:?} can't be watched for this program: {refused}", args.bucket))
    })?;
    // Made before the first event, so that a program without the functions is refused at once.
    let mut instance = start(&program, args).await?;
    let mut events = bucket.watch(&args.prefix).await?;
    note(format!("watching {:?}", args.bucket));
    let mut calls = 0_u64;
    let mut missed = 0_u64;
    while args.count.is_none_or(|count| calls < count) {
        let event = tokio::select! {
            event = events.next() => event,
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(event) = event else { break };
        match &event {
            Event::Lagged(events) => {
                missed += events;
                note(format!("too slow: {events} events were missed, {missed} in all"));
            }
            Event::Resync => note("the connection was lost for a while: events may have been missed"),
            _ => {}
        }
        let (store, watcher) = &mut instance;
        match watcher.deliver(store, &bucket, event).await {
            Ok(Delivered::Called) => calls += 1,
            Ok(Delivered::Nothing) => {}
            Err(cause) => {
                calls += 1;
                note(format!("the program trapped: {}; this event is skipped", cause.root_cause()));
                instance = start(&program, args).await?;
            }
        }
    }
    Ok(Verdict::Yes)
}

async fn start(program: &Program, args: &WatchRunArgs) -> Result<(Store<State>, Watcher), Failure> {
    let (mut store, instance) = program.start(stdio(args)?).await?;
    let watcher = program.guest.watcher(&mut store, &instance);
    let watcher = watcher.map_err(|error| Failure::data(error.to_string()).within(&program.shown))?;
    Ok((store, watcher))
}

fn stdio(args: &WatchRunArgs) -> Result<WasiCtx, Failure> {
    Ok(wasi(&args.which)?.inherit_stdout().inherit_stderr().build())
}
