use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use transcript::{Shape, Show, Transcript};

use crate::calls::failure;
use crate::exports::kv::guests::calls::Failure;
use crate::wasi::keyvalue::atomics::{self, Cas, CasError};
use crate::wasi::keyvalue::store::Bucket;

thread_local! {
    static HELD: RefCell<BTreeMap<u32, Cas>> = const { RefCell::new(BTreeMap::new()) };
    static LAST: Cell<u32> = const { Cell::new(0) };
}

pub(crate) fn new(bucket: &Bucket, key: &str) -> Result<u32, Failure> {
    Cas::new(bucket, key).map(hold).map_err(failure)
}

pub(crate) fn current(handle: u32) -> Result<Option<Vec<u8>>, Failure> {
    HELD.with_borrow(|held| held.get(&handle).ok_or_else(unknown)?.current().map_err(failure))
}

pub(crate) fn swap(handle: u32, value: &[u8]) -> Result<Option<u32>, Failure> {
    let cas = HELD.with_borrow_mut(|held| held.remove(&handle)).ok_or_else(unknown)?;
    match atomics::swap(cas, value) {
        Ok(()) => Ok(None),
        Err(CasError::CasFailed(fresh)) => Ok(Some(hold(fresh))),
        Err(CasError::StoreError(error)) => Err(failure(error)),
    }
}

fn hold(cas: Cas) -> u32 {
    let handle = LAST.get() + 1;
    LAST.set(handle);
    HELD.with_borrow_mut(|held| held.insert(handle, cas));
    handle
}

fn unknown() -> Failure {
    Failure::Other("the guest holds no such handle".to_owned())
}

pub(crate) fn tour(lines: &mut Transcript, bucket: &Bucket) {
    let swaps = swaps(lines, bucket);
    lines.note("every handle was given", &swaps.map_err(|error| error.to_string()));
    lines.note("delete contested", &Shape::delete(bucket, KEY));
}

const KEY: &str = "contested";

/// Ends early only where the host gave no handle.
fn swaps(lines: &mut Transcript, bucket: &Bucket) -> Result<(), &'static str> {
    let taken = || Cas::new(bucket, KEY).map_err(|_| "no");
    let first = taken()?;
    lines.note("cas of missing: current", &first.current());
    lines.note("cas of missing: swap", &kind(&atomics::swap(first, b"created")));
    lines.note("get contested", &Shape::get(bucket, KEY));

    let (early, late) = (taken()?, taken()?);
    lines.note("two handles: current of one", &early.current());
    lines.note("two handles: swap of the other", &kind(&atomics::swap(late, b"winner")));
    lines.note("two handles: current of the one", &early.current());
    let lost = atomics::swap(early, b"loser");
    lines.note("two handles: swap of the one", &kind(&lost));
    lines.note("get contested", &Shape::get(bucket, KEY));
    let Err(CasError::CasFailed(fresh)) = lost else { return Err("no") };
    lines.note("fresh handle: current", &fresh.current());
    lines.note("fresh handle: swap", &kind(&atomics::swap(fresh, b"at last")));
    lines.note("get contested", &Shape::get(bucket, KEY));

    let same = taken()?;
    lines.note("set contested to the same bytes", &Shape::set(bucket, KEY, b"at last"));
    lines.note("swap after a set of the same bytes", &kind(&atomics::swap(same, b"too late")));

    let back = taken()?;
    lines.note("delete contested", &Shape::delete(bucket, KEY));
    lines.note("set contested again", &Shape::set(bucket, KEY, b"at last"));
    lines.note("swap after delete and set", &kind(&atomics::swap(back, b"too late")));

    let gone = taken()?;
    lines.note("delete contested", &Shape::delete(bucket, KEY));
    let lost = atomics::swap(gone, b"too late");
    lines.note("swap after a delete", &kind(&lost));
    let Err(CasError::CasFailed(fresh)) = lost else { return Err("no") };
    lines.note("fresh handle of missing: current", &fresh.current());
    drop(fresh);

    let unused = taken()?;
    lines.note("delete of missing", &Shape::delete(bucket, KEY));
    lines.note("swap after a delete of missing", &kind(&atomics::swap(unused, b"")));
    lines.note("get contested", &Shape::get(bucket, KEY));
    Ok(())
}

fn kind(swapped: &Result<(), CasError>) -> String {
    match swapped {
        Ok(()) => "ok".to_owned(),
        Err(CasError::CasFailed(_)) => "lost".to_owned(),
        Err(CasError::StoreError(error)) => error.show(),
    }
}
