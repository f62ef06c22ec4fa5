//! Instances of an exerciser, which makes each call of its shape on demand.

use std::sync::{Arc, Mutex, PoisonError};

use kv::{Result, Store};
use kv_wasi::{Access, Guest, Host, Limits, Shape};
use wasmtime::Engine;
use wasmtime_wasi::WasiCtx;

pub(super) use bindings::exports::kv::guests::calls::Failure;
pub(super) use bindings::{Exerciser, ExerciserPre};

use super::told::trapped;
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
        self.guest.shapes().iter().any(|shape| matches!(shape, Shape::Draft2 | Shape::Spin))
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
