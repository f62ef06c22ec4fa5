//! The two shapes that call themselves `0.2.0-draft2`: cursors are text, counters are signed, and swaps are versioned.

use kv_core::CasSwap;
use wasmtime::Result;
use wasmtime::component::Resource;

use crate::access::Rights;
use crate::context::KvCtxView;
use crate::fail::Fail;
use crate::operations::vec;
use crate::resources::{CasHandle, OpenBucket};

/// How a swap ended badly.
enum Lost {
    Failed(Fail),
    To(Resource<CasHandle>),
}

impl KvCtxView<'_> {
    fn push_cas(&mut self, cas: kv_core::Cas, rights: Rights) -> Result<Resource<CasHandle>, Fail> {
        let most = self.ctx.shared.limits.cas_handles;
        if self.ctx.cas_handles >= most {
            return Err(Fail::Other(format!(
                "too many versioned handles: this program holds {most}, which is the limit"
            )));
        }
        let held = self.ctx.budget.hold(cas.current().map_or(0, |value| value.len()))?;
        let handle = self.push(CasHandle { cas, rights, _held: held })?;
        self.ctx.cas_handles += 1;
        Ok(handle)
    }

    fn free_cas(&mut self, handle: Resource<CasHandle>) -> Result<CasHandle> {
        let handle = self.free(handle)?;
        self.ctx.cas_handles = self.ctx.cas_handles.saturating_sub(1);
        Ok(handle)
    }

    async fn take_cas(&mut self, bucket: &Resource<OpenBucket>, key: &str) -> Result<Resource<CasHandle>, Fail> {
        let rights = self.table.get(bucket)?.rights;
        let cas = self.bucket(bucket, Rights::READ)?.cas(key).await?;
        self.push_cas(cas, rights)
    }

    fn current(&self, handle: &Resource<CasHandle>) -> Result<Option<Vec<u8>>, Fail> {
        Ok(self.table.get(handle)?.cas.current().map(|value| value.to_vec()))
    }

    /// Uses the handle up, however it ends.
    async fn swap_cas(&mut self, handle: Resource<CasHandle>, value: Vec<u8>) -> Result<(), Lost> {
        let failed = |fail| Lost::Failed(fail);
        let CasHandle { cas, rights, _held } = self.free_cas(handle).map_err(|cause| failed(Fail::Trap(cause)))?;
        rights.check(Rights::WRITE).map_err(failed)?;
        match cas.swap(value).await {
            Ok(CasSwap::Swapped) => Ok(()),
            Ok(CasSwap::Lost(fresh)) => Err(self.push_cas(fresh, rights).map_or_else(failed, Lost::To)),
            Err(error) => Err(failed(error.into())),
        }
    }
}

macro_rules! draft2 {
    ($bindings:ident, $many:ty, $pair:expr) => {
        const _: () = {
            use crate::bindings::$bindings::wasi::keyvalue::{atomics, batch, store};

            impl store::Host for KvCtxView<'_> {
                async fn open(&mut self, identifier: String) -> Result<Resource<OpenBucket>, Fail> {
                    self.open(&identifier).await
                }

                fn convert_error(&mut self, fail: Fail) -> Result<store::Error> {
                    match fail {
                        Fail::NoSuchStore => Ok(store::Error::NoSuchStore),
                        Fail::Denied => Ok(store::Error::AccessDenied),
                        Fail::Other(text) => Ok(store::Error::Other(text)),
                        Fail::Trap(cause) => Err(cause),
                    }
                }
            }

            impl store::HostBucket for KvCtxView<'_> {
                async fn get(&mut self, bucket: Resource<OpenBucket>, key: String) -> Result<Option<Vec<u8>>, Fail> {
                    Ok(KvCtxView::get(self, &bucket, &key).await?.map(vec))
                }

                async fn set(&mut self, bucket: Resource<OpenBucket>, key: String, value: Vec<u8>) -> Result<(), Fail> {
                    KvCtxView::set(self, &bucket, &key, value.into()).await
                }

                async fn delete(&mut self, bucket: Resource<OpenBucket>, key: String) -> Result<(), Fail> {
                    KvCtxView::delete(self, &bucket, &key).await
                }

                async fn exists(&mut self, bucket: Resource<OpenBucket>, key: String) -> Result<bool, Fail> {
                    KvCtxView::exists(self, &bucket, &key).await
                }

                async fn list_keys(
                    &mut self,
                    bucket: Resource<OpenBucket>,
                    cursor: Option<String>,
                ) -> Result<store::KeyResponse, Fail> {
                    let page = self.page(&bucket, cursor.as_deref()).await?;
                    Ok(store::KeyResponse { keys: page.keys, cursor: page.cursor })
                }

                fn drop(&mut self, bucket: Resource<OpenBucket>) -> Result<()> {
                    self.free(bucket).map(drop)
                }
            }

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
                    self.free_cas(cas).map(drop)
                }
            }

            impl batch::Host for KvCtxView<'_> {
                async fn get_many(
                    &mut self,
                    bucket: Resource<OpenBucket>,
                    keys: Vec<String>,
                ) -> Result<Vec<$many>, Fail> {
                    let values = KvCtxView::get_many(self, &bucket, &keys).await?;
                    Ok(keys.into_iter().zip(values.into_iter().map(|value| value.map(vec))).map($pair).collect())
                }

                async fn set_many(
                    &mut self,
                    bucket: Resource<OpenBucket>,
                    entries: Vec<(String, Vec<u8>)>,
                ) -> Result<(), Fail> {
                    let entries = entries.into_iter().map(|(key, value)| (key, value.into())).collect();
                    KvCtxView::set_many(self, &bucket, entries).await
                }

                async fn delete_many(&mut self, bucket: Resource<OpenBucket>, keys: Vec<String>) -> Result<(), Fail> {
                    KvCtxView::delete_many(self, &bucket, &keys).await
                }
            }
        };
    };
}

draft2!(draft2, Option<(String, Vec<u8>)>, |(key, value): (String, Option<Vec<u8>>)| value.map(|value| (key, value)));
draft2!(spin, (String, Option<Vec<u8>>), |pair| pair);
