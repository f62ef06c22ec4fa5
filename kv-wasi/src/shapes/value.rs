//! What the two shapes with values as resources have in common: bodies and streams, and errors that are resources too, with a
//! trace.

use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use crate::context::KvCtxView;
use crate::fail::Fail;
use crate::operations::vec;
use crate::resources::{ErrorText, Incoming, Outgoing};
use crate::streams::{Reader, Writer};

/// What a call gives the guest.
pub(super) type Told<T> = wasmtime::Result<Result<T, Resource<ErrorText>>>;

impl KvCtxView<'_> {
    /// Gives the guest a handle on a value.
    pub(crate) fn push_value(&mut self, value: Bytes) -> Result<Resource<Incoming>, Fail> {
        let value = self.ctx.budget.incoming(value)?;
        self.push(value)
    }

    /// Gives handles on all values, or on none.
    pub(crate) fn push_values(&mut self, values: Vec<Option<Bytes>>) -> Result<Vec<Option<Resource<Incoming>>>, Fail> {
        let mut handles = Vec::with_capacity(values.len());
        for value in values {
            match value.map(|value| self.push_value(value)).transpose() {
                Ok(handle) => handles.push(handle),
                Err(fail) => {
                    for handle in handles.into_iter().flatten() {
                        self.free(handle).map_err(Fail::Trap)?;
                    }
                    return Err(fail);
                }
            }
        }
        Ok(handles)
    }

    pub(crate) fn consume_sync(&mut self, value: &Resource<Incoming>) -> Result<Vec<u8>, Fail> {
        Ok(vec(self.table.get_mut(value)?.consume()?.0))
    }

    pub(crate) fn consume_async(&mut self, value: &Resource<Incoming>) -> Result<Resource<DynInputStream>, Fail> {
        // Or the value would be gone where there is no room for its stream.
        let place = self.place()?;
        let (value, held) = self.table.get_mut(value)?.consume()?;
        let stream: DynInputStream = Box::new(Reader::new(value, held, place));
        Ok(self.table.push(stream)?)
    }

    pub(crate) async fn write_sync(&mut self, value: &Resource<Outgoing>, bytes: Vec<u8>) -> Result<(), Fail> {
        let value = self.table.get(value)?.clone();
        value.check_writable()?;
        self.ctx.budget.append(&value, bytes.into())?;
        // The only call that can tell how filling a vacancy went.
        self.ctx.budget.fill(&value).await
    }

    /// A vacancy whose value was never written goes to the next who waits for it; one whose stream is still open, when that
    /// closes.
    pub(crate) fn drop_outgoing(&mut self, value: Resource<Outgoing>) -> wasmtime::Result<()> {
        let value = self.free(value)?;
        if value.check_closed().is_ok() {
            drop(value.take_vacancy());
        }
        Ok(())
    }

    pub(crate) fn write_async(&mut self, value: &Resource<Outgoing>) -> Result<Resource<DynOutputStream>, Fail> {
        let value = self.table.get(value)?.clone();
        let place = self.place()?;
        value.open()?;
        let stream: DynOutputStream = Box::new(Writer::new(value, self.ctx.budget.clone(), place));
        Ok(self.table.push(stream)?)
    }

    /// The whole value, which can be written again.
    pub(crate) fn outgoing(&self, value: &Resource<Outgoing>) -> Result<Bytes, Fail> {
        self.table.get(value)?.value()
    }

    pub(crate) fn outgoing_many(
        &self,
        entries: Vec<(String, Resource<Outgoing>)>,
    ) -> Result<Vec<(String, Bytes)>, Fail> {
        entries.into_iter().map(|(key, value)| Ok((key, self.outgoing(&value)?))).collect()
    }
}

/// Implements one shape: where its interfaces are in the bindings, what it makes of a missing key in a numeric swap, and those
/// of its functions that no other shape has.
macro_rules! value_shape {
    (
        bindings: $bindings:ident, errors: $errors:ident, single: $single:ident, many: $many:ident,
        missing: $missing:expr,
        size: { $($size:tt)* }
        get: { $($get:tt)* }
        get_many: { $($get_many:tt)* }
    ) => {
        const _: () = {
            use wasmtime::Result;
            use wasmtime::component::Resource;
            use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

            use super::value::Told;
            use crate::bindings::$bindings::wasi::keyvalue::{$errors, $many, $single, atomic, types};
            use crate::context::KvCtxView;
            use crate::fail::Fail;
            use crate::operations::NumberSwap;
            use crate::resources::{ErrorText, Incoming, OpenBucket, Outgoing};

            impl $errors::Host for KvCtxView<'_> {}

            impl $errors::HostError for KvCtxView<'_> {
                fn trace(&mut self, error: Resource<ErrorText>) -> Result<String> {
                    KvCtxView::trace(self, &error)
                }

                fn drop(&mut self, error: Resource<ErrorText>) -> Result<()> {
                    self.free(error).map(drop)
                }
            }

            impl types::Host for KvCtxView<'_> {}

            impl types::HostBucket for KvCtxView<'_> {
                async fn open_bucket(&mut self, name: String) -> Told<Resource<OpenBucket>> {
                    let opened = self.open(&name).await;
                    self.told(opened)
                }

                fn drop(&mut self, bucket: Resource<OpenBucket>) -> Result<()> {
                    self.free(bucket).map(drop)
                }
            }

            impl types::HostOutgoingValue for KvCtxView<'_> {
                fn new_outgoing_value(&mut self) -> Result<Resource<Outgoing>> {
                    self.push(Outgoing::default()).map_err(Fail::into_trap)
                }

                fn outgoing_value_write_body_async(
                    &mut self,
                    value: Resource<Outgoing>,
                ) -> Told<Resource<DynOutputStream>> {
                    let stream = self.write_async(&value);
                    self.told(stream)
                }

                async fn outgoing_value_write_body_sync(&mut self, value: Resource<Outgoing>, body: Vec<u8>) -> Told<()> {
                    let written = self.write_sync(&value, body).await;
                    self.told(written)
                }

                fn drop(&mut self, value: Resource<Outgoing>) -> Result<()> {
                    self.drop_outgoing(value)
                }
            }

            impl types::HostIncomingValue for KvCtxView<'_> {
                fn incoming_value_consume_sync(&mut self, value: Resource<Incoming>) -> Told<Vec<u8>> {
                    let consumed = self.consume_sync(&value);
                    self.told(consumed)
                }

                fn incoming_value_consume_async(&mut self, value: Resource<Incoming>) -> Told<Resource<DynInputStream>> {
                    let stream = self.consume_async(&value);
                    self.told(stream)
                }

                $($size)*

                fn drop(&mut self, value: Resource<Incoming>) -> Result<()> {
                    self.free(value).map(drop)
                }
            }

            impl $single::Host for KvCtxView<'_> {
                $($get)*

                async fn set(&mut self, bucket: Resource<OpenBucket>, key: String, value: Resource<Outgoing>) -> Told<()> {
                    let done = match self.outgoing(&value) {
                        Ok(value) => KvCtxView::set(self, &bucket, &key, value).await,
                        Err(fail) => Err(fail),
                    };
                    self.told(done)
                }

                async fn delete(&mut self, bucket: Resource<OpenBucket>, key: String) -> Told<()> {
                    let done = KvCtxView::delete(self, &bucket, &key).await;
                    self.told(done)
                }

                async fn exists(&mut self, bucket: Resource<OpenBucket>, key: String) -> Told<bool> {
                    let done = KvCtxView::exists(self, &bucket, &key).await;
                    self.told(done)
                }
            }

            impl $many::Host for KvCtxView<'_> {
                $($get_many)*

                async fn set_many(
                    &mut self,
                    bucket: Resource<OpenBucket>,
                    entries: Vec<(String, Resource<Outgoing>)>,
                ) -> Told<()> {
                    let done = match self.outgoing_many(entries) {
                        Ok(entries) => KvCtxView::set_many(self, &bucket, entries).await,
                        Err(fail) => Err(fail),
                    };
                    self.told(done)
                }

                async fn delete_many(&mut self, bucket: Resource<OpenBucket>, keys: Vec<String>) -> Told<()> {
                    let done = KvCtxView::delete_many(self, &bucket, &keys).await;
                    self.told(done)
                }
            }

            impl atomic::Host for KvCtxView<'_> {
                async fn increment(&mut self, bucket: Resource<OpenBucket>, key: String, delta: u64) -> Told<u64> {
                    let done = self.increment_unsigned(&bucket, &key, delta).await;
                    self.told(done)
                }

                async fn compare_and_swap(
                    &mut self,
                    bucket: Resource<OpenBucket>,
                    key: String,
                    old: u64,
                    new: u64,
                ) -> Told<bool> {
                    let swap = self.swap_numbers(&bucket, &key, old, new).await;
                    let done = swap.and_then(|swap| match swap {
                        NumberSwap::Swapped => Ok(true),
                        NumberSwap::Other => Ok(false),
                        NumberSwap::Missing => $missing,
                    });
                    self.told(done)
                }
            }
        };
    };
}

pub(super) use value_shape;
