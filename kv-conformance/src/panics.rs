//! Panics of cases: caught, kept as text, and not printed.

use std::any::Any;
use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex, Once, PoisonError};

thread_local! {
    /// Whose panics this thread's are; `None` on threads that are not a case's.
    static OWNER: RefCell<Option<Panics>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// The panics on one case's threads, in order.
///
/// The panic hook is one for the whole process. Ours keeps the text of panics on a case's own threads (the one that
/// drives it, and those of its runtime) and leaves every other panic, also those of threads that a case or a provider
/// starts by itself, to the hook that was there before.
#[derive(Clone, Default)]
pub(crate) struct Panics(Arc<Mutex<Vec<String>>>);

impl Panics {
    /// Keeps the panics of this thread from here on.
    pub(crate) fn own_this_thread(&self) {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if !keep(info) {
                    before(info);
                }
            }));
        });
        OWNER.set(Some(self.clone()));
    }

    /// Where this thread's panics are kept, to keep those of another thread there too: for cases that start threads or
    /// runtimes of their own.
    pub(crate) fn of_this_thread() -> Self {
        OWNER.with_borrow(|owner| owner.clone().unwrap_or_default())
    }

    /// What panicked so far.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Keeps the panic if this thread is a case's.
fn keep(info: &PanicHookInfo<'_>) -> bool {
    let owner = OWNER.try_with(|owner| owner.try_borrow().ok().and_then(|owner| owner.clone())).ok().flatten();
    let Some(Panics(texts)) = owner else { return false };
    let what = message(info.payload());
    let text = match info.location() {
        Some(at) => format!("{what} ({}:{})", at.file(), at.line()),
        None => what,
    };
    texts.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    true
}

/// The text of a panic's payload.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a text".to_owned(),
    }
}
