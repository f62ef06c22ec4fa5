use std::fmt;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType};

use crate::rename::{Renamed, Side};

/// The highest last number of a version that is looked for. WASI 0.2 came to 12 in two years.
pub(crate) const LAST_PATCH: u32 = 99;

/// What nobody provides of an import, or not as the guest wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name in the file, such as `wasi:sockets/tcp@0.2.0`.
    pub import: String,
    /// Those of its functions, or its types, that are missing or do not fit.
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

/// Everything that a component imports and the linker does not have, or has otherwise, and the linker with a stub for each: it
/// traps when it is called. There is no such linker where something is imported that has no stub, as a module has none.
///
/// wasmtime tells the first such import only. So that one is put in its place by a stub, until it is content.
pub(crate) fn missing<T: 'static>(
    linker: &Linker<T>,
    component: &Component,
    renamed: &Renamed,
) -> (Vec<Missing>, wasmtime::Result<Linker<T>>) {
    let mut filled = linker.clone();
    filled.allow_shadowing(true);
    let mut gaps = Gaps { linker, component, renamed, filled, has_resources: false, found: Vec::new() };
    let mut seen = Vec::new();
    let end = loop {
        let Err(error) = gaps.filled.instantiate_pre(component) else { break Ok(()) };
        let Some(gap) = Gap::of(&error) else { break Err(error) };
        let place = (gap.import.clone(), gap.name.clone());
        // Its stub does not fit either.
        if seen.contains(&place) {
            break Err(error);
        }
        seen.push(place);
        if let Err(error) = gaps.fill(&gap) {
            break Err(error);
        }
    };
    (gaps.found, end.map(|()| gaps.filled))
}

/// Why wasmtime does not link a component.
struct Gap {
    import: String,
    /// One thing of it.
    name: Option<String>,
    why: String,
}

impl Gap {
    fn of(error: &wasmtime::Error) -> Option<Self> {
        let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
        let mut names = chain.iter().filter_map(|text| quoted(text));
        Some(Self { import: names.next()?, name: names.next(), why: chain.last()?.clone() })
    }

    fn is_absent(&self) -> bool {
        self.why.ends_with("is missing")
    }
}

/// The name in backticks.
fn quoted(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('`')?;
    let (name, _) = rest.split_once('`')?;
    Some(name.to_owned())
}

struct Gaps<'a, T: 'static> {
    linker: &'a Linker<T>,
    component: &'a Component,
    renamed: &'a Renamed,
    filled: Linker<T>,
    /// Whether some of the stubs are resources.
    has_resources: bool,
    found: Vec<Missing>,
}

impl<T: 'static> Gaps<'_, T> {
    fn fill(&mut self, gap: &Gap) -> wasmtime::Result<()> {
        let engine = self.linker.engine();
        let ty = self.component.component_type();
        let Some(item) = ty.get_import(engine, &gap.import) else {
            return Err(wasmtime::Error::msg(format!("{} is imported where this host does not see it", gap.import)));
        };
        let shown = self.renamed.in_file(Side::Import, &gap.import);
        let ComponentItem::ComponentInstance(instance) = &item.ty else {
            self.tell(gap, shown, Vec::new());
            return self.stub(gap, None, &gap.import, &item.ty);
        };
        let is_function = |item: &ComponentItem| matches!(item, ComponentItem::ComponentFunc(_));
        let mut items: Vec<(&str, ComponentItem)> =
            instance.exports(engine).map(|(name, item)| (name, item.ty)).collect();
        let registered = gap.name.as_ref().and_then(|_| registered(self.linker, &gap.import));
        if let Some(registered) = &registered {
            // What is beside it stays the host's.
            let mut probe = probe(self.linker);
            let mut probe = probe.instance(registered)?;
            items.retain(|(name, item)| {
                let is_it = gap.name.as_deref() == Some(*name);
                is_it || gap.is_absent() && is_function(item) && !has(&mut probe, name)
            });
        } else {
            items.retain(|(name, item)| match item {
                ComponentItem::Type(_) => false,
                // wasmtime takes one that an earlier import has from there, and refuses another in its place.
                ComponentItem::Resource(ty) => self.is_first(*ty, &gap.import, name),
                _ => true,
            });
        }
        let names = items.iter().filter(|(_, item)| registered.is_some() || is_function(item));
        self.tell(gap, gap.name.as_deref().unwrap_or(shown), names.map(|(name, _)| (*name).to_owned()).collect());
        let place = registered.as_ref().unwrap_or(&gap.import);
        items.iter().try_for_each(|(name, item)| self.stub(gap, Some(place), name, item))
    }

    /// Whether the component has a resource from this import, and not from one before it.
    fn is_first(&self, ty: ResourceType, import: &str, name: &str) -> bool {
        let engine = self.linker.engine();
        let is_it = |item: &ComponentItem| matches!(item, ComponentItem::Resource(other) if *other == ty);
        let component = self.component.component_type();
        let mut imports = component.imports(engine);
        let first = imports.find_map(|(from, item)| match item.ty {
            ComponentItem::ComponentInstance(instance) => {
                let inner =
                    instance.exports(engine).find(|(_, item)| is_it(&item.ty)).map(|(inner, _)| inner.to_owned());
                inner.map(|inner| (from, inner))
            }
            item => is_it(&item).then(|| (from, String::new())),
        });
        first.is_some_and(|(from, inner)| from == import && inner == name)
    }

    fn tell(&mut self, gap: &Gap, name: &str, functions: Vec<String>) {
        // Who takes a resource that nobody provides from one who has it does not fit: our doing, and the resource is told.
        if self.has_resources && gap.why.contains("resource type") {
            return;
        }
        let misfit = (!gap.is_absent()).then(|| (name.to_owned(), gap.why.clone()));
        let import = self.renamed.in_file(Side::Import, &gap.import).to_owned();
        self.found.push(Missing { import, functions, misfit });
    }

    /// Puts into an instance, or beside them, what traps when it is called.
    fn stub(&mut self, gap: &Gap, instance: Option<&str>, name: &str, item: &ComponentItem) -> wasmtime::Result<()> {
        let shown = self.renamed.in_file(Side::Import, &gap.import);
        let (mut place, called) = match instance {
            Some(instance) => (self.filled.instance(instance)?, format!("{shown}#{name}")),
            None => (self.filled.root(), shown.to_owned()),
        };
        match item {
            ComponentItem::ComponentFunc(_) => {
                let text = if gap.is_absent() {
                    format!("{called} is called, which this host does not provide")
                } else {
                    format!("{called} is called, which does not fit what this host provides ({})", gap.why)
                };
                place.func_new(name, move |_, _, _, _| Err(wasmtime::Error::msg(text.clone())))
            }
            ComponentItem::Resource(_) => {
                self.has_resources = true;
                place.resource(name, ResourceType::host::<Stub>(), |_, _| Ok(()))
            }
            _ => Err(wasmtime::Error::msg(format!("{called} is neither a function nor a type, and has no stand-in"))),
        }
    }
}

/// The type of a stub's resources.
struct Stub;

/// The name under which the linker has what is imported: the same one, or the newest that differs in the last number only. To
/// open an instance by another name would make a new, empty one.
fn registered<T: 'static>(linker: &Linker<T>, import: &str) -> Option<String> {
    let mut probe = probe(linker);
    let mut is_there = |name: &str| has(&mut probe.root(), name);
    if is_there(import) {
        return Some(import.to_owned());
    }
    let (stem, patch) = import.rsplit_once('.').filter(|(stem, _)| stem.contains('@'))?;
    let own: u32 = patch.parse().ok()?;
    let others = (0..=LAST_PATCH).rev().filter(|patch| *patch != own);
    others.map(|patch| format!("{stem}.{patch}")).find(|name| is_there(name))
}

/// A linker that tells what is in it: what is there already can't be put there again.
fn probe<T: 'static>(linker: &Linker<T>) -> Linker<T> {
    let mut probe = linker.clone();
    probe.allow_shadowing(false);
    probe
}

/// For each name once.
fn has<T: 'static>(probe: &mut LinkerInstance<'_, T>, name: &str) -> bool {
    probe.func_new(name, |_, _, _, _| Ok(())).is_err()
}
