//! `kv watch-run`.

use kv::Event;
use kv_wasi::{Delivered, Watched, Watcher};
use wasmtime::Store;
use wasmtime_wasi::WasiCtx;

use super::args::WatchRunArgs;
use super::engine::Running;
use super::policy::{Granted, Rules};
use super::program::{Program, wasi};
use super::state::State;
use super::stop::Stop;
use crate::exit::{Ended, Failure, Verdict};
use crate::output::note;
use crate::session::Session;

pub(super) async fn watch_run(args: WatchRunArgs, session: &mut Session) -> Ended {
    let mut program = Program::load(Running::plain, &args.which)?;
    let granted = program.grant(Rules::read(&args.which)?, session.url()).await?;
    let mut stop = None;
    let ended = watch_on(&args, &program, &granted, &mut stop).await;
    let at_once = async {
        match &mut stop {
            Some(stop) => stop.asked(2).await,
            // A signal ends the whole process then.
            None => std::future::pending().await,
        }
    };
    program.close(granted, ended, at_once).await
}

async fn watch_on(args: &WatchRunArgs, program: &Program, granted: &Granted, stop: &mut Option<Stop>) -> Ended {
    let watched = granted.access.watched(&args.bucket).await.map_err(|refused| {
        Failure::data(format!("the bucket {:?} can't be watched for this program: {refused}", args.bucket))
    })?;
    // Made before the first event, so that a program without the functions is refused at once.
    let mut listener = Listener::start(args, program, &watched).await?;
    let mut events = watched.events(&args.prefix).await?;
    let stop = stop.insert(Stop::new()?);
    note(format!("watching {:?}", args.bucket));
    let mut calls = 0_u64;
    let mut unheard = Unheard::default();
    while args.count.is_none_or(|count| calls < count) {
        let event = tokio::select! {
            event = events.next() => event,
            () = stop.asked(1) => None,
        };
        let Some(event) = event else { break };
        if let Some(text) = unheard.text(&event) {
            note(text);
        }
        let call = listener.hear(event);
        tokio::pin!(call);
        let is_called = tokio::select! {
            is_called = &mut call => is_called?,
            () = stop.asked(1) => {
                note("stopping: waiting for the call that runs; ask again to end it");
                tokio::select! {
                    is_called = &mut call => drop(is_called?),
                    () = stop.asked(2) => {}
                }
                break;
            }
        };
        calls += u64::from(is_called);
    }
    Ok(Verdict::Yes)
}

/// The instance that hears of the events, and what another one is made of.
struct Listener<'a> {
    args: &'a WatchRunArgs,
    program: &'a Program,
    watched: &'a Watched,
    store: Store<State>,
    watcher: Watcher,
}

impl<'a> Listener<'a> {
    async fn start(args: &'a WatchRunArgs, program: &'a Program, watched: &'a Watched) -> Result<Self, Failure> {
        let (store, watcher) = start(program, args).await?;
        Ok(Self { args, program, watched, store, watcher })
    }

    async fn restart(&mut self) -> Result<(), Failure> {
        (self.store, self.watcher) = start(self.program, self.args).await?;
        Ok(())
    }

    /// Tells the program of an event; says whether it was called.
    async fn hear(&mut self, event: Event) -> Result<bool, Failure> {
        let mut delivered = self.watcher.deliver(&mut self.store, self.watched, event.clone()).await;
        if matches!(delivered, Ok(Delivered::NoRoom)) {
            // It leaves dropping to a collector that did not come yet.
            note("the program keeps as much of what it was handed as it may; a new instance hears of this event");
            self.restart().await?;
            delivered = self.watcher.deliver(&mut self.store, self.watched, event).await;
        }
        match delivered {
            Ok(Delivered::Called) => Ok(true),
            Ok(Delivered::Nothing) => Ok(false),
            Ok(Delivered::NoRoom) => {
                note("there is more to hand over than the program may keep; this event is skipped");
                Ok(false)
            }
            Err(cause) => {
                note(format!("the program trapped: {}; this event is skipped", cause.root_cause()));
                self.restart().await?;
                Ok(true)
            }
        }
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
    use kv_wasi::{Access, Host, Limits};

    use super::super::args::Which;
    use super::*;

    /// Keeps every handle that it is handed.
    const KEEPER: &str = r#"(component
      (import "wasi:keyvalue/store@0.2.0-draft2" (instance $store (export "bucket" (type (sub resource)))))
      (alias export $store "bucket" (type $bucket))
      (core module $m
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "set") (param i32 i32 i32 i32 i32))
        (func (export "delete") (param i32 i32 i32)))
      (core instance $i (instantiate $m))
      (func $set (param "bucket" (own $bucket)) (param "key" string) (param "value" (list u8))
        (canon lift (core func $i "set")
          (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
      (func $delete (param "bucket" (own $bucket)) (param "key" string)
        (canon lift (core func $i "delete")
          (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
      (instance $watcher (export "on-set" (func $set)) (export "on-delete" (func $delete)))
      (export "wasi:keyvalue/watcher@0.2.0-draft2" (instance $watcher)))"#;

    #[tokio::test]
    async fn a_program_that_keeps_too_much_hears_of_each_event_all_the_same() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), wat::parse_str(KEEPER).unwrap()).unwrap();
        let guest = file.path().to_owned();
        let which = Which { guest, config: None, name: None, trap_missing: false, env: Vec::new(), dir: Vec::new() };
        let args = WatchRunArgs { which, bucket: "b".to_owned(), prefix: String::new(), count: None };
        let store = kv::open("memory:").await.unwrap();
        let watched = Access::all_of(&store).watched("b").await.unwrap();
        let mut program = Program::load(Running::plain, &args.which).unwrap();
        for (handles, is_called) in [(2, true), (0, false)] {
            let limits = Limits { handles, ..Limits::default() };
            program.guest = program.guest.with_host(&Host::new(Access::all_of(&store)).limits(limits));
            let mut listener = Listener::start(&args, &program, &watched).await.unwrap();
            for _ in 0..5 {
                let event = Event::Deleted { key: "k".to_owned() };
                assert_eq!(listener.hear(event).await.unwrap(), is_called);
            }
            assert!(!listener.hear(Event::Resync).await.unwrap());
        }
    }

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
