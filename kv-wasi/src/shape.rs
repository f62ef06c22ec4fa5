use crate::error::Error;
use crate::signature::{Function, Interfaces};

/// One form of `wasi:keyvalue` that guests are built against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Without a version: Golem's until January 2024.
    Golem2023,
    /// `0.1.0`: Golem's stable line.
    V0_1_0,
    /// `0.2.0-draft`: wasmtime's and wasmCloud's.
    Draft,
    /// `0.2.0-draft2`: the proposal's main line until 2026.
    Draft2,
    /// `0.2.0-draft2` as Spin has it, whose `get-many` differs.
    Spin,
}

/// The package.
const PACKAGE: &str = "wasi:keyvalue/";

/// What all of a shape's functions look like: the interface, the name and the types, a line for each. Written by the test
/// `tables_are_those_of_the_wit`.
const TABLES: [(Shape, &str); 5] = [
    (Shape::Golem2023, include_str!("../wit/golem-2023.txt")),
    (Shape::V0_1_0, include_str!("../wit/0.1.0.txt")),
    (Shape::Draft, include_str!("../wit/0.2.0-draft.txt")),
    (Shape::Draft2, include_str!("../wit/0.2.0-draft2.txt")),
    (Shape::Spin, include_str!("../wit/0.2.0-draft2-spin.txt")),
];

/// What Golem's newer `0.1.0` has otherwise than the stable one, with streams and async functions of the component model. To a
/// guest that imports these calls the shape is [`V0_1_0`](Shape::V0_1_0), and they trap.
const STREAMS: &str = include_str!("../wit/0.1.0-streams.txt");

impl Shape {
    /// All of them, in the order of their age.
    pub const ALL: [Self; 5] = [Self::Golem2023, Self::V0_1_0, Self::Draft, Self::Draft2, Self::Spin];

    /// The name that this crate gives it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Golem2023 => "golem-2023",
            Self::V0_1_0 => "0.1.0",
            Self::Draft => "0.2.0-draft",
            Self::Draft2 => "0.2.0-draft2",
            Self::Spin => "0.2.0-draft2 (Spin)",
        }
    }

    /// The version under which it is linked.
    fn version(self) -> Option<&'static str> {
        match self {
            Self::Golem2023 => None,
            Self::V0_1_0 => Some("0.1.0"),
            Self::Draft => Some("0.2.0-draft"),
            Self::Draft2 | Self::Spin => Some("0.2.0-draft2"),
        }
    }

    /// The name that this shape's interface has in a linker.
    pub(crate) fn linked_name(self, interface: &str) -> String {
        match self.version() {
            Some(version) => format!("{PACKAGE}{interface}@{version}"),
            None => format!("{PACKAGE}{interface}"),
        }
    }

    fn table(self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        rows(TABLES.iter().find(|(shape, _)| *shape == self).map_or("", |(_, text)| text))
    }

    /// The first of a guest's imports that this shape does not have.
    fn misfit<'a>(self, imports: &'a Imports) -> Option<Misfit<'a>> {
        if let Some(interface) = imports.interfaces.iter().find(|own| !self.has_interface(own)) {
            return Some(Misfit::Interface(interface));
        }
        let misfit = imports.functions.iter().find(|(interface, function)| !self.has(interface, function));
        misfit.map(|(_, function)| Misfit::Function(function))
    }

    fn has(self, interface: &str, function: &Function) -> bool {
        self.table().any(|known| known == (interface, &function.name, &function.types))
            || self.only_traps(interface, function)
    }

    /// Whether a call is known, and this host has none for it.
    fn only_traps(self, interface: &str, function: &Function) -> bool {
        self == Self::V0_1_0 && rows(STREAMS).any(|known| known == (interface, &function.name, &function.types))
    }

    fn has_interface(self, interface: &str) -> bool {
        self.table().any(|(known, ..)| known == interface)
    }

    /// Those that have all of these calls. Where that is several, because there are few calls, the one that the version names
    /// is the first.
    fn fitting(imports: &Imports) -> Result<Vec<Self>, Error> {
        let fits = |shape: &Self| !imports.are_of_february_2024() && shape.misfit(imports).is_none();
        let mut fitting: Vec<Self> = Self::ALL.into_iter().filter(fits).collect();
        fitting.sort_by_key(|shape| !imports.are_named(*shape));
        if fitting.is_empty() { Err(refusal::of_shape(imports)) } else { Ok(fitting) }
    }
}

/// The lines of a table.
fn rows(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    text.lines().filter_map(|line| {
        let (interface, rest) = line.split_once(' ')?;
        let (name, types) = rest.split_once(' ')?;
        Some((interface, name, types))
    })
}

/// The shape of each version that a guest imports: it may be composed of parts that were built against several.
pub(crate) struct Shapes(Vec<(Imports, Shape)>);

impl Shapes {
    /// Which shapes a guest is built against; none if it does not import `wasi:keyvalue`.
    pub(crate) fn of(interfaces: &Interfaces) -> Result<Self, Error> {
        let versions = Imports::by_version(interfaces).into_iter();
        let fitting = versions.map(|imports| Shape::fitting(&imports).map(|fitting| (imports, fitting)));
        let mut versions: Vec<(Imports, Vec<Shape>)> = fitting.collect::<Result<_, _>>()?;
        // One that fits fewer shapes, or names one, is in no other's way then.
        versions.sort_by_key(|(imports, fitting)| {
            let is_named = fitting.first().is_some_and(|shape| imports.are_named(*shape));
            (fitting.len(), !is_named)
        });
        let mut told: Vec<(Imports, Shape)> = Vec::new();
        for (imports, fitting) in versions {
            let mut clash = None;
            let free = fitting.into_iter().find(|shape| {
                let taken = told.iter().find(|(other, taken)| imports.clash(*shape, other, *taken));
                clash = clash.or(taken.map(|taken| (taken, *shape)));
                taken.is_none()
            });
            match (free, clash) {
                (Some(shape), _) => told.push((imports, shape)),
                (None, Some((taken, shape))) => return Err(refusal::of_two((&taken.0, taken.1), (&imports, shape))),
                (None, None) => return Err(refusal::of_shape(&imports)),
            }
        }
        Ok(Self(told))
    }

    /// All of them, in the order of their age.
    pub(crate) fn all(&self) -> Vec<Shape> {
        let is_there = |shape: &Shape| self.0.iter().any(|(_, told)| told == shape);
        Shape::ALL.into_iter().filter(is_there).collect()
    }

    /// The calls that this host has no more than a trap for.
    pub(crate) fn traps(&self) -> Vec<Function> {
        let all = self.0.iter().flat_map(|(imports, shape)| imports.functions.iter().map(move |all| (shape, all)));
        all.filter(|(shape, (interface, function))| shape.only_traps(interface, function))
            .map(|(_, (_, function))| function.clone())
            .collect()
    }

    /// The name in a linker of an interface that the guest imports.
    pub(crate) fn linked_name(&self, import: &str) -> Option<String> {
        let (interface, version) = split(import)?;
        let told = self.0.iter().find(|(imports, _)| imports.version.as_deref() == version);
        told.map(|(_, shape)| shape.linked_name(interface))
    }
}

enum Misfit<'a> {
    Interface(&'a str),
    Function(&'a Function),
}

/// What a guest imports of one version of the package.
struct Imports {
    version: Option<String>,
    /// Without package and version.
    interfaces: Vec<String>,
    functions: Vec<(String, Function)>,
}

impl Imports {
    fn by_version(all: &Interfaces) -> Vec<Self> {
        let mut versions: Vec<Self> = Vec::new();
        for (interface, version) in all.imported.iter().filter_map(|name| split(name)) {
            let interfaces = vec![interface.to_owned()];
            match versions.iter_mut().find(|imports| imports.version.as_deref() == version) {
                Some(imports) => imports.interfaces.extend(interfaces),
                None => versions.push(Self { version: version.map(str::to_owned), interfaces, functions: Vec::new() }),
            }
        }
        for function in &all.imports {
            let Some((interface, version)) = split(&function.interface) else { continue };
            if let Some(imports) = versions.iter_mut().find(|imports| imports.version.as_deref() == version) {
                imports.functions.push((interface.to_owned(), function.clone()));
            }
        }
        versions
    }

    /// Some of that shape's calls look like those of `0.1.0`, but not what they mean.
    fn are_of_february_2024(&self) -> bool {
        self.interfaces.iter().any(|interface| interface.starts_with("eventual"))
            && self.version.as_ref().is_some_and(|version| version.starts_with("0.2.0"))
    }

    fn are_named(&self, shape: Shape) -> bool {
        self.version.as_deref() == shape.version()
    }

    /// Whether a linker can't have both: it would have two interfaces of one name, or the same import twice.
    fn clash(&self, shape: Shape, other: &Self, taken: Shape) -> bool {
        let has_one_twice = || self.interfaces.iter().any(|interface| other.interfaces.contains(interface));
        shape.version() == taken.version() && (shape != taken || has_one_twice())
    }
}

/// An interface of the package and its version.
pub(crate) fn split(name: &str) -> Option<(&str, Option<&str>)> {
    let rest = name.strip_prefix(PACKAGE)?;
    Some(match rest.split_once('@') {
        Some((interface, version)) => (interface, Some(version)),
        None => (rest, None),
    })
}

pub(crate) mod refusal;
#[cfg(test)]
mod tests;
