//! What each shape adds to a linker.

use wasmtime::component::Linker;

use crate::bindings;
use crate::context::{HasKv, KvCtxView, KvView};
use crate::shape::{Shape, split};
use crate::signature::{ASYNC, Function};

pub(crate) fn add<T: KvView + 'static>(linker: &mut Linker<T>, shape: Shape) -> wasmtime::Result<()> {
    match shape {
        Shape::Golem2023 => add_golem_2023(linker),
        Shape::V0_1_0 => add_v0_1_0(linker),
        Shape::Draft => bindings::draft::Imports::add_to_linker::<_, HasKv>(linker, view::<T>),
        Shape::Draft2 => bindings::draft2::Imports::add_to_linker::<_, HasKv>(linker, view::<T>),
        Shape::Spin => bindings::spin::Imports::add_to_linker::<_, HasKv>(linker, view::<T>),
    }
}

/// Puts a trap in the place of each of these calls of Golem's newer `0.1.0`.
pub(crate) fn add_traps<T: 'static>(linker: &mut Linker<T>, calls: &[Function]) -> wasmtime::Result<()> {
    if calls.is_empty() {
        return Ok(());
    }
    // Some have the names of the stable shape's.
    linker.allow_shadowing(true);
    for Function { interface, name, types, .. } in calls {
        let text = format!(
            "{interface}#{name} is called, of Golem's newer wasi:keyvalue@0.1.0, of which this host has only the calls \
             without streams and async"
        );
        let trap = move || Err(wasmtime::Error::msg(text.clone()));
        let linked = split(interface).map_or(interface.clone(), |(name, _)| Shape::V0_1_0.linked_name(name));
        let mut place = linker.instance(&linked)?;
        if types.starts_with(ASYNC) {
            place.func_new_concurrent(name, move |_, _, _, _| {
                let ended = trap();
                Box::pin(async { ended })
            })?;
        } else {
            place.func_new(name, move |_, _, _, _| trap())?;
        }
    }
    Ok(())
}

fn view<T: KvView>(data: &mut T) -> KvCtxView<'_> {
    data.kv()
}

fn add_golem_2023<T: KvView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    use bindings::golem_2023::wasi::keyvalue::{atomic, batch, readwrite, types, wasi_cloud_error};
    wasi_cloud_error::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    types::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    readwrite::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    batch::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    atomic::add_to_linker::<_, HasKv>(linker, view::<T>)
}

fn add_v0_1_0<T: KvView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    use bindings::v0_1_0::wasi::keyvalue::{atomic, cache, eventual, eventual_batch, types, wasi_keyvalue_error};
    wasi_keyvalue_error::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    types::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    eventual::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    eventual_batch::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    atomic::add_to_linker::<_, HasKv>(linker, view::<T>)?;
    cache::add_to_linker::<_, HasKv>(linker, view::<T>)
}
