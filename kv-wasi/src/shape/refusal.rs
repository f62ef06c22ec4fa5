//! Why a component is not run, where this host knows what it is built against.

use super::{Imports, Misfit, Shape};
use crate::error::Error;
use crate::signature::Function;

/// Says what wasmtime refuses for its words only: programs for WASI 0.3 have types that an engine set up for 0.2 does not take,
/// so that there is no component whose imports could be looked at.
pub(crate) fn of_compiling<'a>(mut names: impl Iterator<Item = &'a str>, cause: wasmtime::Error) -> Error {
    let is_newer_wasi = |name: &&str| {
        let version = name.strip_prefix("wasi:").and_then(|name| name.rsplit_once('@'));
        version.is_some_and(|(_, version)| version == "0.3" || version.starts_with("0.3."))
    };
    if !cause.root_cause().to_string().contains("the component model async feature") {
        Error::of("compiling it failed", cause)
    } else if let Some(name) = names.find(is_newer_wasi) {
        Error::shape(format!("it is built for WASI 0.3 ({name}), and this host runs 0.2")).with_source(cause)
    } else {
        Error::needs_async(cause)
    }
}

/// Says which shape it is if it is a known one that this host does not run, and else what does not fit.
pub(super) fn of_shape(imports: &Imports) -> Error {
    let has = |is_it: fn(&Function) -> bool| imports.functions.iter().any(|(_, function)| is_it(function));
    let has_numbers = has(|function| function.name == "drop-bucket" || function.signature.contains("bucket: u32"));
    let text = if has_numbers {
        "it is built against wasi:keyvalue as it was before December 2023, with handles as plain numbers and drop-bucket; \
         that shape is not supported"
            .to_owned()
    } else if imports.are_of_february_2024() {
        "it is built against wasi:keyvalue@0.2.0-draft as it was in February 2024, with the interface eventual; that shape \
         is not supported"
            .to_owned()
    } else {
        unknown(imports)
    };
    supported(&text)
}

/// Says which two versions can't be linked side by side.
pub(super) fn of_two(one: (&Imports, Shape), other: (&Imports, Shape)) -> Error {
    let words = |(imports, shape): (&Imports, Shape)| {
        let version = imports.version.as_deref().unwrap_or("one without a version");
        format!("{version} as the shape {}", shape.name())
    };
    Error::shape(format!(
        "it imports wasi:keyvalue in two versions, {} and {}, and this host can add only one of them: their interfaces have \
         the same names",
        words(one),
        words(other)
    ))
}

fn supported(text: &str) -> Error {
    let have: Vec<&str> = Shape::ALL.iter().map(|shape| shape.name()).collect();
    Error::shape(format!("{text}. Supported are: {}", have.join(", ")))
}

/// What does not fit in the shape that is nearest: the one with most of the functions, then that which the version names, then
/// the one with most of the interfaces.
fn unknown(imports: &Imports) -> String {
    let nearness = |shape: &Shape| {
        let functions = imports.functions.iter().filter(|(interface, function)| shape.has(interface, function));
        let interfaces = imports.interfaces.iter().filter(|interface| shape.has_interface(interface));
        (functions.count(), imports.are_named(*shape), interfaces.count())
    };
    let nearest = Shape::ALL.into_iter().max_by_key(nearness).unwrap_or(Shape::Draft2);
    let imported = match &imports.version {
        Some(version) => format!("wasi:keyvalue@{version}"),
        None => "wasi:keyvalue without a version".to_owned(),
    };
    let why = match nearest.misfit(imports) {
        Some(Misfit::Function(Function { interface, name, signature, .. })) => {
            format!("{interface}.{name} is {signature}, which {} does not have", nearest.name())
        }
        Some(Misfit::Interface(interface)) => {
            format!("it has an interface {interface}, which {} does not have", nearest.name())
        }
        None => return format!("it imports {imported}, of an unknown shape"),
    };
    format!("it imports {imported}, of an unknown shape: {why}")
}
