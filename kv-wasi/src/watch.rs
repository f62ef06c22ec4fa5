use kv_core::Event;
use wasmtime::Store;
use wasmtime::component::{Instance, Resource, TypedFunc};

use crate::access::Watched;
use crate::context::KvView;
use crate::error::Error;
use crate::fail::Fail;
use crate::guest::Guest;
use crate::resources::{Incoming, OpenBucket};
use crate::shape::split;

mod check;

use check::{HANDLE_WATCH, has_resources};

/// The functions by which a guest hears of changes: `watcher` of the drafts, `handle-watch` of `0.1.0`. They are exports of the
/// guest, which the host calls.
pub struct Watcher {
    on_set: OnSet,
    on_delete: TypedFunc<(Resource<OpenBucket>, String), ()>,
}

enum OnSet {
    Bytes(TypedFunc<(Resource<OpenBucket>, String, Vec<u8>), ()>),
    Value(TypedFunc<(Resource<OpenBucket>, String, Resource<Incoming>), ()>),
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The guest was called.
    Called,
    /// There is no function for such an event: `Dropped`, `Lagged` and `Resync`.
    Nothing,
    /// The guest was not called: it keeps so many handles, or so many bytes of values, that there is no room for those of the
    /// event. Another instance of it can be told.
    NoRoom,
}

impl Guest {
    /// The name of the guest's interface for changes, if it has one.
    #[must_use]
    pub fn watcher_interface(&self) -> Option<&str> {
        let interfaces = self.exports().iter().map(|function| function.interface.as_str());
        let mut watchers = interfaces.filter(|name| matches!(split(name), Some(("watcher" | HANDLE_WATCH, _))));
        watchers.next()
    }

    /// Finds an instance's functions for changes.
    ///
    /// # Errors
    ///
    /// [`NoSuchExport`](crate::ErrorKind::NoSuchExport) if it has none, or has them otherwise.
    pub fn watcher<T: KvView + 'static>(&self, store: &mut Store<T>, instance: &Instance) -> Result<Watcher, Error> {
        let interface = self.checked_watcher()?;
        let parent = instance.get_export_index(&mut *store, None, interface);
        let mut find = |name: &str| {
            let index = parent.as_ref().and_then(|parent| instance.get_export_index(&mut *store, Some(parent), name));
            index
                .and_then(|index| instance.get_func(&mut *store, index))
                .ok_or_else(|| Error::export(format!("its {interface} has no function {name}")))
        };
        let (on_set, on_delete) = (find("on-set")?, find("on-delete")?);
        let misfit = |cause| Error::of(&format!("its {interface} is not as this host calls it"), cause);
        let on_set = if has_resources(interface) {
            OnSet::Value(on_set.typed(&*store).map_err(misfit)?)
        } else {
            OnSet::Bytes(on_set.typed(&*store).map_err(misfit)?)
        };
        Ok(Watcher { on_set, on_delete: on_delete.typed(&*store).map_err(misfit)? })
    }
}

impl Watcher {
    /// Tells the guest of an event, one call at a time; an entry that expired is deleted for it.
    ///
    /// # Errors
    ///
    /// The trap by which the guest ended. The instance is of no use then; make another one.
    pub async fn deliver<T: KvView + 'static>(
        &self,
        store: &mut Store<T>,
        watched: &Watched,
        event: Event,
    ) -> wasmtime::Result<Delivered> {
        match event {
            Event::Set { key, value } => {
                let Ok(bucket) = own(store, watched) else { return Ok(Delivered::NoRoom) };
                match &self.on_set {
                    OnSet::Bytes(call) => call.call_async(&mut *store, (bucket, key, value.to_vec())).await?,
                    OnSet::Value(call) => {
                        let Ok(value) = store.data_mut().kv().push_value(value.into_bytes()) else {
                            store.data_mut().kv().free(bucket)?;
                            return Ok(Delivered::NoRoom);
                        };
                        let borrowed = Resource::new_borrow(value.rep());
                        let called = call.call_async(&mut *store, (bucket, key, borrowed)).await;
                        store.data_mut().kv().free(value)?;
                        called?;
                    }
                }
            }
            Event::Deleted { key } | Event::Expired { key } => {
                let Ok(bucket) = own(store, watched) else { return Ok(Delivered::NoRoom) };
                self.on_delete.call_async(&mut *store, (bucket, key)).await?;
            }
            Event::Dropped | Event::Lagged(_) | Event::Resync => return Ok(Delivered::Nothing),
        }
        Ok(Delivered::Called)
    }
}

/// A handle on the bucket, which becomes the guest's, with the guest's rights.
fn own<T: KvView>(store: &mut Store<T>, watched: &Watched) -> Result<Resource<OpenBucket>, Fail> {
    store.data_mut().kv().push(watched.0.clone())
}
