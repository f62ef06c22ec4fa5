//! What a program exports, and which of that a typed call reaches.

use kv_wasi::{Function, Guest};
use wasmtime::component::Type;
use wasmtime::component::types::{ComponentFunc, ComponentItem};

use crate::exit::Failure;

/// The functions that can be called by typing, as one types them.
pub(super) fn names(guest: &Guest) -> Vec<String> {
    guest.exports().iter().filter(|function| is_plain(guest, function)).map(full_name).collect()
}

fn full_name(function: &Function) -> String {
    if function.interface.is_empty() {
        return function.name.clone();
    }
    format!("{}.{}", function.interface, function.name)
}

/// Finds `golem:examples/api.get`, `api.get` or `get`, if there is one such function.
pub(super) fn find<'a>(guest: &'a Guest, name: &str) -> Result<&'a Function, Failure> {
    let found: Vec<&Function> = guest.exports().iter().filter(|function| fits(function, name)).collect();
    let found = match found.as_slice() {
        [one] => *one,
        [] => return Err(Failure::data(format!("it exports no function {name}; {}", known(guest)))),
        several => {
            // One that stands by itself has no longer name.
            let by_itself = several.iter().find(|function| function.interface.is_empty());
            let names: Vec<String> = several.iter().map(|function| full_name(function)).collect();
            *by_itself.ok_or_else(|| Failure::data(format!("{name} may be each of: {}", names.join(", "))))?
        }
    };
    if is_plain(guest, found) {
        return Ok(found);
    }
    let (full, signature) = (full_name(found), &found.signature);
    Err(Failure::data(format!("{full} can't be called so, as it takes or gives what can't be typed: {signature}")))
}

/// Whether it exports an interface in a release of WASI 0.2, such as `wasi:cli/run@0.2.3`. A guest has those of release candidates
/// under such a name too.
pub(super) fn has_wasi(guest: &Guest, interface: &str) -> bool {
    let is_release = |version: &str| version.strip_prefix("0.2.").is_some_and(|patch| patch.parse::<u32>().is_ok());
    let names = guest.exports().iter().filter_map(|function| function.interface.split_once('@'));
    names.into_iter().any(|(name, version)| name == interface && is_release(version))
}

/// What there is to call, for those who asked for another.
pub(super) fn known(guest: &Guest) -> String {
    match names(guest).as_slice() {
        [] => "there is none that can be called so".to_owned(),
        names => format!("there are: {}", names.join(", ")),
    }
}

fn fits(function: &Function, name: &str) -> bool {
    let full = function.interface.as_str();
    let without_version = full.split_once('@').map_or(full, |(name, _)| name);
    let short = without_version.rsplit_once('/').map_or(without_version, |(_, short)| short);
    match name.rsplit_once('.') {
        None => function.name == name,
        Some((interface, own)) => function.name == own && [full, without_version, short].contains(&interface),
    }
}

/// Whether its arguments and its result are values: handles can't be typed.
fn is_plain(guest: &Guest, function: &Function) -> bool {
    let ty = ty(guest, function);
    ty.is_some_and(|ty| ty.params().all(|(_, ty)| is_value(&ty)) && ty.results().all(|ty| is_value(&ty)))
}

/// The types of its arguments.
pub(super) fn parameters(guest: &Guest, function: &Function) -> Vec<Type> {
    ty(guest, function).iter().flat_map(|ty| ty.params().map(|(_, ty)| ty).collect::<Vec<_>>()).collect()
}

fn ty(guest: &Guest, function: &Function) -> Option<ComponentFunc> {
    let (component, engine) = (guest.component(), guest.component().engine());
    let all = component.component_type();
    let item = match function.interface.as_str() {
        "" => all.get_export(engine, &function.name)?.ty,
        interface => match all.get_export(engine, interface)?.ty {
            ComponentItem::ComponentInstance(instance) => instance.get_export(engine, &function.name)?.ty,
            _ => return None,
        },
    };
    if let ComponentItem::ComponentFunc(ty) = item { Some(ty) } else { None }
}

fn is_value(ty: &Type) -> bool {
    match ty {
        Type::Own(_) | Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext | Type::Map(_) => false,
        Type::List(ty) => is_value(&ty.ty()),
        Type::FixedLengthList(ty) => is_value(&ty.ty()),
        Type::Tuple(ty) => ty.types().all(|ty| is_value(&ty)),
        Type::Option(ty) => is_value(&ty.ty()),
        Type::Result(ty) => [ty.ok(), ty.err()].iter().flatten().all(is_value),
        Type::Record(ty) => ty.fields().all(|field| is_value(&field.ty)),
        Type::Variant(ty) => ty.cases().all(|case| case.ty.as_ref().is_none_or(is_value)),
        _ => true,
    }
}
