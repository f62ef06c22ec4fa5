//! Gives a component's imports and exports other names, in its binary.
//!
//! A linker finds a pre-release by its exact name only, and one interface under two names would be two sets of resource types.
//! So the component is changed, not the linker: what it imports as `wasi:io/streams@0.2.0-rc-2023-11-10` it imports as
//! `wasi:io/streams@0.2.0` from then on. Whoever is told of an import is told the name that the file has.

use std::borrow::Cow;
use std::collections::HashMap;

use wasm_encoder::{
    ComponentExportKind, ComponentExportSection, ComponentExternName, ComponentImportSection, ComponentSection as _,
    ComponentSectionId, ComponentTypeRef, Encode as _,
};
use wasmparser::{BinaryReader, ComponentExportSectionReader, ComponentExternalKind, ComponentImportSectionReader};

/// The first bytes of every component: the magic number, the version, and the layer.
const HEADER: usize = 8;

/// What a file of WebAssembly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Component,
    Module,
    Neither,
}

pub(crate) fn kind(bytes: &[u8]) -> Kind {
    match bytes {
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Kind::Component,
        [0, b'a', b's', b'm', _, _, 0, 0, ..] => Kind::Module,
        _ => Kind::Neither,
    }
}

/// Where a component has a name: those of imports and those of exports are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Import,
    Export,
}

/// What was renamed: the names that it has now, and those in the file.
#[derive(Default)]
pub(crate) struct Renamed {
    imports: HashMap<String, String>,
    exports: HashMap<String, String>,
}

impl Renamed {
    pub(crate) fn add(&mut self, side: Side, now: &str, in_file: &str) {
        let names = match side {
            Side::Import => &mut self.imports,
            Side::Export => &mut self.exports,
        };
        names.insert(now.to_owned(), in_file.to_owned());
    }

    /// The name in the file of what has this one now.
    pub(crate) fn in_file<'a>(&'a self, side: Side, now: &'a str) -> &'a str {
        let names = match side {
            Side::Import => &self.imports,
            Side::Export => &self.exports,
        };
        names.get(now).map_or(now, String::as_str)
    }
}

/// The names of a component's own imports and exports.
pub(crate) fn list(bytes: &[u8]) -> wasmparser::Result<Vec<(Side, String)>> {
    let mut all = Vec::new();
    names(bytes, |side, name| {
        all.push((side, name.to_owned()));
        None
    })?;
    Ok(all)
}

/// The component with its own imports and exports renamed; as it is where `rename` changes none. Components inside it keep
/// theirs.
pub(crate) fn names<'a>(
    bytes: &'a [u8],
    mut rename: impl FnMut(Side, &str) -> Option<String>,
) -> wasmparser::Result<Cow<'a, [u8]>> {
    let header = bytes.get(..HEADER).unwrap_or(bytes);
    let mut renamed = header.to_vec();
    let mut changed = false;
    let mut name = |side: Side, parsed: wasmparser::ComponentExternName<'a>| {
        let new = rename(side, parsed.name);
        changed |= new.is_some();
        ComponentExternName {
            name: new.map_or(Cow::Borrowed(parsed.name), Cow::Owned),
            implements: parsed.implements.map(Cow::Borrowed),
            version_suffix: parsed.version_suffix.map(Cow::Borrowed),
            external_id: parsed.external_id.map(Cow::Borrowed),
        }
    };
    let mut reader = BinaryReader::new(bytes.get(HEADER..).unwrap_or_default(), HEADER);
    while !reader.eof() {
        let begun = reader.original_position();
        let id = reader.read_u8()?;
        let content = reader.read_reader()?;
        let end = reader.original_position();
        if id == ComponentSectionId::Import as u8 {
            let mut section = ComponentImportSection::new();
            for import in ComponentImportSectionReader::new(content)? {
                let import = import?;
                let Some(ty) = encoded(import.ty) else { return Ok(Cow::Borrowed(bytes)) };
                section.import(name(Side::Import, import.name), ty);
            }
            renamed.push(section.id());
            section.encode(&mut renamed);
        } else if id == ComponentSectionId::Export as u8 {
            let mut section = ComponentExportSection::new();
            for export in ComponentExportSectionReader::new(content)? {
                let export = export?;
                let Some(kind) = kind_of(export.kind) else { return Ok(Cow::Borrowed(bytes)) };
                let ty = match export.ty {
                    None => None,
                    Some(ty) => match encoded(ty) {
                        Some(ty) => Some(ty),
                        None => return Ok(Cow::Borrowed(bytes)),
                    },
                };
                section.export(name(Side::Export, export.name), kind, export.index, ty);
            }
            renamed.push(section.id());
            section.encode(&mut renamed);
        } else {
            renamed.extend_from_slice(bytes.get(begun..end).unwrap_or_default());
        }
    }
    Ok(if changed { Cow::Owned(renamed) } else { Cow::Borrowed(bytes) })
}

/// `None` for a value, which wasmtime does not run either.
fn encoded(ty: wasmparser::ComponentTypeRef) -> Option<ComponentTypeRef> {
    use wasmparser::{ComponentTypeRef as Parsed, TypeBounds};
    Some(match ty {
        Parsed::Module(index) => ComponentTypeRef::Module(index),
        Parsed::Func(index) => ComponentTypeRef::Func(index),
        Parsed::Value(_) => return None,
        Parsed::Type(TypeBounds::Eq(index)) => ComponentTypeRef::Type(wasm_encoder::TypeBounds::Eq(index)),
        Parsed::Type(TypeBounds::SubResource) => ComponentTypeRef::Type(wasm_encoder::TypeBounds::SubResource),
        Parsed::Instance(index) => ComponentTypeRef::Instance(index),
        Parsed::Component(index) => ComponentTypeRef::Component(index),
    })
}

/// Likewise.
fn kind_of(kind: ComponentExternalKind) -> Option<ComponentExportKind> {
    Some(match kind {
        ComponentExternalKind::Module => ComponentExportKind::Module,
        ComponentExternalKind::Func => ComponentExportKind::Func,
        ComponentExternalKind::Value => return None,
        ComponentExternalKind::Type => ComponentExportKind::Type,
        ComponentExternalKind::Instance => ComponentExportKind::Instance,
        ComponentExternalKind::Component => ComponentExportKind::Component,
    })
}
