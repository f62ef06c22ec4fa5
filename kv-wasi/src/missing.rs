use std::fmt;

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceType};

/// An imported interface that nobody provides, or not as the guest wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name, such as `wasi:sockets/tcp@0.2.0`.
    pub import: String,
    /// What the guest uses of it.
    pub functions: Vec<String>,
    /// What is there and does not fit: one function or type, and why.
    pub misfit: Option<(String, String)>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.import)?;
        match &self.misfit {
            Some((name, why)) => write!(f, ": {name} does not fit ({why})"),
            None if self.functions.is_empty() => Ok(()),
            None => write!(f, " ({})", self.functions.join(", ")),
        }
    }
}

/// Everything that a component imports and the linker does not have, or has otherwise.
///
/// wasmtime tells the first such import only. So that one is put in its place by a stub, in a linker of our own, until it is
/// content. The second one of the result is that linker: each stub traps when it is called.
pub(crate) fn missing<T: 'static>(
    linker: &Linker<T>,
    component: &Component,
) -> Result<(Vec<Missing>, Linker<T>), wasmtime::Error> {
    let engine = linker.engine().clone();
    let mut linker = linker.clone();
    linker.allow_shadowing(true);
    let mut found: Vec<Missing> = Vec::new();
    let mut stubbed: Vec<String> = Vec::new();
    loop {
        let Err(error) = linker.instantiate_pre(component) else { return Ok((found, linker)) };
        let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
        let Some(import) = chain.iter().find_map(|text| quoted(text)).filter(|import| !stubbed.contains(import)) else {
            return Err(error);
        };
        let ty = component.component_type();
        let Some(item) = ty.get_import(&engine, &import) else { return Err(error) };
        let root = chain.last().cloned().unwrap_or_default();
        // A stub has resources of its own, which those who share them with the real one do not like.
        let is_our_doing = !stubbed.is_empty() && root.contains("mismatched resource types");
        if !is_our_doing {
            let name = chain.iter().skip(1).find_map(|text| quoted(text));
            let is_absent = root.ends_with("is missing");
            let misfit = match name {
                // Nothing of it is there, or one function is not.
                Some(name) if is_absent => has_some(&linker, &import, &item.ty, &engine)
                    .then(|| (name, "this host has no such function in it".to_owned())),
                Some(name) => Some((name, root)),
                None => (!is_absent).then(|| (import.clone(), root)),
            };
            found.push(Missing { functions: functions(&item.ty, &engine), import: import.clone(), misfit });
        }
        stub(&mut linker, &import, &item.ty, &engine)?;
        stubbed.push(import);
    }
}

/// Whether the linker has any of an instance's functions: then the instance is there, and one function is not.
fn has_some<T: 'static>(linker: &Linker<T>, import: &str, item: &ComponentItem, engine: &Engine) -> bool {
    let ComponentItem::ComponentInstance(instance) = item else { return false };
    let mut probe = linker.clone();
    probe.allow_shadowing(false);
    let Ok(mut probe) = probe.instance(import) else { return true };
    // What is there already can't be put there again.
    instance
        .exports(engine)
        .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
        .any(|(name, _)| probe.func_new(name, |_, _, _, _| Ok(())).is_err())
}

/// The name in backticks.
fn quoted(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('`')?;
    let (name, _) = rest.split_once('`')?;
    Some(name.to_owned())
}

fn functions(item: &ComponentItem, engine: &Engine) -> Vec<String> {
    let ComponentItem::ComponentInstance(instance) = item else { return Vec::new() };
    instance
        .exports(engine)
        .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Puts something in the import's place that traps when it is called.
fn stub<T: 'static>(
    linker: &mut Linker<T>,
    import: &str,
    item: &ComponentItem,
    engine: &Engine,
) -> Result<(), wasmtime::Error> {
    match item {
        ComponentItem::ComponentInstance(instance) => {
            let mut stubs = linker.instance(import)?;
            for (name, item) in instance.exports(engine) {
                match item.ty {
                    ComponentItem::ComponentFunc(_) => {
                        let text = format!("{import}#{name} is called, which this host does not provide");
                        stubs.func_new(name, move |_, _, _, _| Err(wasmtime::Error::msg(text.clone())))?;
                    }
                    ComponentItem::Resource(_) => stubs.resource(name, ResourceType::host::<Stub>(), |_, _| Ok(()))?,
                    _ => {}
                }
            }
            Ok(())
        }
        ComponentItem::ComponentFunc(_) => {
            let text = format!("{import} is called, which this host does not provide");
            linker.root().func_new(import, move |_, _, _, _| Err(wasmtime::Error::msg(text.clone())))
        }
        _ => Err(wasmtime::Error::msg(format!("it imports {import}, which is no interface and no function"))),
    }
}

/// The type of a stub's resources.
struct Stub;
