//! Instances of an exerciser, which makes each call of its shape on demand.

use std::sync::{Arc, Mutex, PoisonError};

use kv::{Effect, Error, ErrorKind, Result, Store};
use kv_wasi::{Access, Guest, Host, Limits, Shape};
use wasmtime::Engine;
use wasmtime_wasi::WasiCtx;

use bindings::exports::kv::guests::calls::Failure;
pub(super) use bindings::{Exerciser, ExerciserPre};

use crate::commands::wasi::http::Outgoing;
use crate::commands::wasi::state::{self, State};

/// Idle instances that are kept: as many as most cases have tasks. More are made where a case wants more at once.
const KEPT: usize = 16;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../guests/wit/guests.wit",
        inline: "package kv:suite; world exerciser { export kv:guests/calls; }",
        world: "kv:suite/exerciser",
        exports: { default: async },
    });
}

/// One instance, for one call at a time.
pub(super) struct Running {
    pub(super) store: wasmtime::Store<State>,
    pub(super) exerciser: Exerciser,
}

/// The exerciser of a shape, compiled and linked.
pub(super) struct Program {
    engine: Engine,
    guest: Guest,
    pre: ExerciserPre<State>,
}

impl Program {
    pub(super) fn load(engine: &Engine, component: &[u8]) -> Result<Self, wasmtime::Error> {
        let guest = Host::new(Access::none()).load(engine, component)?;
        let pre = guest.link(&state::linker(engine)?)?.instantiate_pre(guest.component())?;
        Ok(Self { engine: engine.clone(), pre: ExerciserPre::new(pre)?, guest })
    }
}

/// Instances over one store.
pub(super) struct Instances {
    program: Arc<Program>,
    guest: Guest,
    idle: Mutex<Vec<Running>>,
}

impl Instances {
    pub(super) fn new(program: &Arc<Program>, store: &Store) -> Self {
        // The suite's guest is the only one of its store, and tries all handles that a store has.
        let limits = Limits { cas_handles: store.limits().cas_handles, ..Limits::default() };
        let guest = program.guest.with_host(&Host::new(Access::all_of(store)).limits(limits));
        Self { program: Arc::clone(program), guest, idle: Mutex::default() }
    }

    pub(super) fn has_signed_counters(&self) -> bool {
        matches!(self.guest.shape(), Some(Shape::Draft2 | Shape::Spin))
    }

    /// Takes an idle instance or makes one. It does not come back by itself: one whose call was dropped is of no use.
    pub(super) async fn take(&self) -> Result<Running> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(running) = idle {
            return Ok(running);
        }
        let wasi = WasiCtx::builder().build();
        let mut store = state::store(&self.program.engine, &self.guest, wasi, Outgoing::none());
        let exerciser = self.program.pre.instantiate_async(&mut store).await.map_err(|cause| trapped(&cause))?;
        Ok(Running { store, exerciser })
    }

    pub(super) fn give_back(&self, running: Running) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(running);
        }
    }

    /// Ends the idle ones.
    pub(super) fn end(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What the suite is told if the guest ended.
fn trapped(cause: &wasmtime::Error) -> Error {
    Error::new(ErrorKind::Other, Effect::Unknown, format!("the guest trapped: {}", cause.root_cause()))
}

/// The call that lends a handle for each entry.
pub(super) const SET_MANY: &str = "set-many";

/// How an error begins that tells of what a shape does not have.
const LACKING: &str = "this shape has no";

/// Notes what the shape can't express, which takes a case out.
#[derive(Clone, Default)]
pub(super) struct Inexpressible(Arc<Mutex<Option<String>>>);

impl Inexpressible {
    /// Notes the first one, and gives the error for it.
    pub(super) fn note(&self, what: &str) -> Error {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| what.to_owned());
        Error::new(ErrorKind::Unsupported, Effect::None, format!("{LACKING} {what}"))
    }

    /// What the suite is told if the guest ended.
    pub(super) fn trapped(&self, call: &str, cause: wasmtime::Error) -> Error {
        // Each entry of a batch is a handle, lent for the call, and wasmtime has an end to those. Elsewhere it is a fault.
        let is_full = call == SET_MANY && cause.root_cause().to_string().contains("handle limit exceeded");
        if is_full { self.note("batch of so many handles") } else { trapped(&cause) }
    }

    pub(super) fn first(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The error that a guest was told. Shapes have only text for most kinds, so the kind is found by the text, which must
    /// have come through as it was.
    pub(super) fn error(&self, call: &str, failure: Failure) -> Error {
        let (kind, text) = match failure {
            Failure::NoSuchStore => (ErrorKind::NoSuchBucket, "no such store".to_owned()),
            Failure::AccessDenied => (ErrorKind::AccessDenied, "access denied".to_owned()),
            Failure::Unsupported => return self.note(call),
            Failure::Other(text) => match UNTOLD.iter().find(|(part, _)| text.contains(part)) {
                Some((_, what)) => return self.note(what),
                None => (kind(&text), text),
            },
        };
        let effect = if kind == ErrorKind::Other { Effect::Unknown } else { Effect::None };
        Error::new(kind, effect, text)
    }
}

/// Answers that leave out what a case looks for, and what that is.
const UNTOLD: [(&str, &str); 3] = [
    ("Key not found", "reply of get-many for a missing key"),
    ("this interface has none below 0", "counter below 0"),
    ("closed; open it again", "error that tells whether to try again"),
];

fn kind(text: &str) -> ErrorKind {
    const KINDS: [(&str, ErrorKind); 5] = [
        ("incrementing a value that is not a counter", ErrorKind::NotANumber),
        ("incrementing a counter past what 64 bits hold", ErrorKind::Overflow),
        ("query result exceeds limit of", ErrorKind::LimitExceeded),
        ("invalid cursor", ErrorKind::InvalidArgument),
        ("versioned handles", ErrorKind::LimitExceeded),
    ];
    KINDS.iter().find(|(part, _)| text.contains(part)).map_or(ErrorKind::Other, |(_, kind)| *kind)
}

/// Whether a case failed because the shape has no such call: its reason holds our error's text or its kind.
pub(super) fn is_for_lack(reason: &str) -> bool {
    reason.contains(LACKING) || reason.contains("Unsupported")
}
