//! What the three shapes with the interface `store` have in common: values are lists, errors are a variant.

use std::sync::PoisonError;

use wasmtime::component::Resource;

use crate::access::Rights;
use crate::context::KvCtxView;
use crate::fail::Fail;
use crate::resources::OpenBucket;

/// How a shape's cursors stand for the store's.
pub(super) trait Cursor: Sized {
    /// The store's cursor behind the guest's.
    fn find(self, view: &KvCtxView<'_>, open: &OpenBucket) -> Result<String, Fail>;
    /// The guest's cursor for the store's.
    fn keep(view: &KvCtxView<'_>, open: &OpenBucket, cursor: String) -> Self;
}

impl Cursor for String {
    fn find(self, _: &KvCtxView<'_>, _: &OpenBucket) -> Result<String, Fail> {
        Ok(self)
    }

    fn keep(_: &KvCtxView<'_>, _: &OpenBucket, cursor: String) -> Self {
        cursor
    }
}

/// A number, which the guest's host remembers.
impl Cursor for u64 {
    fn find(self, view: &KvCtxView<'_>, open: &OpenBucket) -> Result<String, Fail> {
        view.ctx.shared.cursors.lock().unwrap_or_else(PoisonError::into_inner).find(open, self)
    }

    fn keep(view: &KvCtxView<'_>, open: &OpenBucket, cursor: String) -> Self {
        view.ctx.shared.cursors.lock().unwrap_or_else(PoisonError::into_inner).keep(open, cursor)
    }
}

impl KvCtxView<'_> {
    /// A page of keys, and where the next one begins.
    pub(super) async fn list<C: Cursor>(
        &mut self,
        bucket: &Resource<OpenBucket>,
        cursor: Option<C>,
    ) -> Result<(Vec<String>, Option<C>), Fail> {
        self.bucket(bucket, Rights::LIST)?;
        let open = self.table.get(bucket)?.clone();
        let cursor = cursor.map(|cursor| cursor.find(self, &open)).transpose()?;
        let page = self.page(bucket, cursor.as_deref()).await?;
        Ok((page.keys, page.cursor.map(|cursor| C::keep(self, &open, cursor))))
    }
}

/// Implements `store` and `batch` of one shape: its bindings, its cursors, and what `get-many` gives for a key and its value.
macro_rules! store_shape {
    ($bindings:ident, $cursor:ty, $many:ty, $pair:expr) => {
        const _: () = {
            use wasmtime::Result;
            use wasmtime::component::Resource;

            use crate::bindings::$bindings::wasi::keyvalue::{batch, store};
            use crate::context::KvCtxView;
            use crate::fail::Fail;
            use crate::operations::vec;
            use crate::resources::OpenBucket;

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
                    cursor: Option<$cursor>,
                ) -> Result<store::KeyResponse, Fail> {
                    let (keys, cursor) = self.list(&bucket, cursor).await?;
                    Ok(store::KeyResponse { keys, cursor })
                }

                fn drop(&mut self, bucket: Resource<OpenBucket>) -> Result<()> {
                    self.free(bucket).map(drop)
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

pub(super) use store_shape;

/// A missing entry is none as a whole.
pub(super) fn whole((key, value): (String, Option<Vec<u8>>)) -> Option<(String, Vec<u8>)> {
    value.map(|value| (key, value))
}
