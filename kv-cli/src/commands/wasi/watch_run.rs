//! `kv watch-run`.

use kv::Event;
use kv_wasi::{Delivered, Watcher};
use wasmtime::Store;
use wasmtime_wasi::WasiCtx;

use super::args::WatchRunArgs;
use super::engine::Running;
use super::policy::Granted;
use super::program::{Program, wasi};
use super::state::State;
use super::stop::Stop;
use crate::exit::{Ended, Failure, Verdict};
use crate::output::note;
use crate::session::Session;

pub(super) async fn watch_run(args: WatchRunArgs, session: &mut Session) -> Ended {
    let mut program = Program::load(Running::plain()?, &args.which)?;
    let granted = program.grant(&args.which, session.url()).await?;
    let ended = watch_on(&args, &program, &granted).await;
    program.close(granted, ended).await
}

async fn watch_on(args: &WatchRunArgs, program: &Program, granted: &Granted) -> Ended {
    let watched = granted.access.watched(&args.bucket).await.map_err(|refused| {
        Failure::data(format!("the bucket {:?} can't be watched for this program: {refused}", args.bucket))
    })?;
    // Made before the first event, so that a program without the functions is refused at once.
    let mut instance = start(program, args).await?;
    let mut events = watched.events(&args.prefix).await?;
    let mut stop = Stop::new()?;
    note(format!("watching {:?}", args.bucket));
    let mut calls = 0_u64;
    let mut unheard = Unheard::default();
    while args.count.is_none_or(|count| calls < count) {
        let event = tokio::select! {
            event = events.next() => event,
            () = stop.asked() => None,
        };
        let Some(event) = event else { break };
        if let Some(text) = unheard.text(&event) {
            note(text);
        }
        let (store, watcher) = &mut instance;
        let delivered = {
            let call = watcher.deliver(store, &watched, event);
            tokio::pin!(call);
            tokio::select! {
                delivered = &mut call => delivered,
                () = stop.asked() => {
                    note("stopping: waiting for the call that runs; ask again to end it");
                    tokio::select! {
                        delivered = &mut call => say(delivered),
                        () = stop.asked() => {}
                    }
                    break;
                }
            }
        };
        calls += u64::from(!matches!(delivered, Ok(Delivered::Nothing)));
        if delivered.is_err() {
            say(delivered);
            instance = start(program, args).await?;
        }
    }
    Ok(Verdict::Yes)
}

/// Tells of a call that did not end well.
fn say(delivered: wasmtime::Result<Delivered>) {
    if let Err(cause) = delivered {
        note(format!("the program trapped: {}; this event is skipped", cause.root_cause()));
    }
}

/// What the program is not called for, and so is told here: how many events were missed, as far as the store knows, and how
/// often.
#[derive(Default)]
struct Unheard {
    missed: u64,
    resyncs: u64,
}

impl Unheard {
    fn text(&mut self, event: &Event) -> Option<String> {
        Some(match event {
            Event::Set { .. } | Event::Deleted { .. } | Event::Expired { .. } => return None,
            Event::Dropped => "the bucket was dropped, with all its entries".to_owned(),
            Event::Lagged(events) => {
                self.missed += events;
                format!("too slow: {events} events were missed, {} in all", self.missed)
            }
            Event::Resync => {
                self.resyncs += 1;
                let number = self.resyncs;
                format!("the connection was lost for a while (loss {number}): events may have been missed")
            }
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_does_not_hear_is_told() {
        let mut unheard = Unheard::default();
        let mut told = |event| unheard.text(&event).unwrap_or_default();
        assert_eq!(told(Event::Deleted { key: "k".to_owned() }), "");
        assert!(told(Event::Dropped).contains("the bucket was dropped"));
        assert!(told(Event::Lagged(2)).contains("2 events were missed, 2 in all"));
        assert!(told(Event::Lagged(3)).contains("3 events were missed, 5 in all"));
        told(Event::Resync);
        assert!(told(Event::Resync).contains("(loss 2)"));
    }
}
