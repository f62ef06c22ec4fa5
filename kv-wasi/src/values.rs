//! Values as resources, for the shapes that have them so.

use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use crate::context::KvCtxView;
use crate::fail::Fail;
use crate::operations::vec;
use crate::resources::{Incoming, Outgoing};
use crate::streams::{Reader, Writer};

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
        let (value, held) = self.table.get_mut(value)?.consume()?;
        let stream: DynInputStream = Box::new(Reader::new(value, held));
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
        value.open()?;
        let stream: DynOutputStream = Box::new(Writer::new(value, self.ctx.budget.clone()));
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
