//! The two shapes that call themselves `0.2.0-draft2`: cursors are text, counters are signed, and swaps are versioned.

use kv_core::{Cas, CasSwap};
use wasmtime::Result;
use wasmtime::component::Resource;

use super::store::{store_shape, whole};
use crate::access::Rights;
use crate::context::KvCtxView;
use crate::fail::Fail;
use crate::resources::{CasHandle, Held, OpenBucket};

/// How a swap ended badly.
enum Lost {
    Failed(Fail),
    To(Resource<CasHandle>),
}

impl KvCtxView<'_> {
    fn push_cas(&mut self, cas: Cas, rights: Rights, place: Held) -> Result<Resource<CasHandle>, Fail> {
        let held = self.ctx.budget.hold(cas.current().map_or(0, |value| value.len()))?;
        self.push(CasHandle { cas, rights, _held: held, _place: place })
    }

    async fn take_cas(&mut self, bucket: &Resource<OpenBucket>, key: &str) -> Result<Resource<CasHandle>, Fail> {
        let rights = self.table.get(bucket)?.rights;
        let most = self.ctx.shared.limits.cas_handles;
        // Before the store is asked, which has few for all its guests.
        let place = Held::take(&self.ctx.shared.cas_handles, 1, most).ok_or_else(|| {
            Fail::Other(format!("too many versioned handles: this program holds {most}, which is the limit"))
        })?;
        let cas = self.bucket(bucket, Rights::READ)?.cas(key).await?;
        self.push_cas(cas, rights, place)
    }

    fn current(&self, handle: &Resource<CasHandle>) -> Result<Option<Vec<u8>>, Fail> {
        Ok(self.table.get(handle)?.cas.current().map(|value| value.to_vec()))
    }

    /// Uses the handle up, however it ends.
    async fn swap_cas(&mut self, handle: Resource<CasHandle>, value: Vec<u8>) -> Result<(), Lost> {
        let failed = |fail| Lost::Failed(fail);
        let CasHandle { cas, rights, _held, _place: place } =
            self.free(handle).map_err(|cause| failed(Fail::Trap(cause)))?;
        rights.check(Rights::WRITE).map_err(failed)?;
        match cas.swap(value).await {
            Ok(CasSwap::Swapped) => Ok(()),
            Ok(CasSwap::Lost(fresh)) => Err(self.push_cas(fresh, rights, place).map_or_else(failed, Lost::To)),
            Err(error) => Err(failed(error.into())),
        }
    }
}

macro_rules! atomics {
    ($bindings:ident) => {
        const _: () = {
            use crate::bindings::$bindings::wasi::keyvalue::{atomics, store};

            impl atomics::Host for KvCtxView<'_> {
                async fn increment(
                    &mut self,
                    bucket: Resource<OpenBucket>,
                    key: String,
                    delta: i64,
                ) -> Result<i64, Fail> {
                    KvCtxView::increment(self, &bucket, &key, delta).await
                }

                async fn swap(
                    &mut self,
                    cas: Resource<CasHandle>,
                    value: Vec<u8>,
                ) -> Result<Result<(), atomics::CasError>> {
                    match self.swap_cas(cas, value).await {
                        Ok(()) => Ok(Ok(())),
                        Err(Lost::To(fresh)) => Ok(Err(atomics::CasError::CasFailed(fresh))),
                        Err(Lost::Failed(fail)) => {
                            let error = store::Host::convert_error(self, fail)?;
                            Ok(Err(atomics::CasError::StoreError(error)))
                        }
                    }
                }
            }

            impl atomics::HostCas for KvCtxView<'_> {
                async fn new(
                    &mut self,
                    bucket: Resource<OpenBucket>,
                    key: String,
                ) -> Result<Resource<CasHandle>, Fail> {
                    self.take_cas(&bucket, &key).await
                }

                fn current(&mut self, cas: Resource<CasHandle>) -> Result<Option<Vec<u8>>, Fail> {
                    KvCtxView::current(self, &cas)
                }

                fn drop(&mut self, cas: Resource<CasHandle>) -> Result<()> {
                    self.free(cas).map(drop)
                }
            }
        };
    };
}

store_shape!(draft2, String, Option<(String, Vec<u8>)>, whole);
store_shape!(spin, String, (String, Option<Vec<u8>>), std::convert::identity);
atomics!(draft2);
atomics!(spin);
