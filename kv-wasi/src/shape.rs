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
        let text = TABLES.iter().find(|(shape, _)| *shape == self).map_or("", |(_, text)| text);
        text.lines().filter_map(|line| {
            let (interface, rest) = line.split_once(' ')?;
            let (name, types) = rest.split_once(' ')?;
            Some((interface, name, types))
        })
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
    }

    fn has_interface(self, interface: &str) -> bool {
        self.table().any(|(known, ..)| known == interface)
    }

    /// Which shape a guest is built against; `None` if it does not import `wasi:keyvalue`.
    pub(crate) fn of(interfaces: &Interfaces) -> Result<Option<Self>, Error> {
        let imports = Imports::of(interfaces);
        if imports.interfaces.is_empty() {
            return Ok(None);
        }
        if imports.are_of_february_2024() || imports.has_one_twice() {
            return Err(refusal::of_shape(&imports));
        }
        // By what it calls. Where that fits several, because it calls little, the version decides among those.
        let mut fitting: Vec<Self> = Self::ALL.into_iter().filter(|shape| shape.misfit(&imports).is_none()).collect();
        fitting.sort_by_key(|shape| !imports.name_version_of(*shape));
        match fitting.first() {
            Some(shape) => Ok(Some(*shape)),
            None => Err(refusal::of_shape(&imports)),
        }
    }
}

enum Misfit<'a> {
    Interface(&'a str),
    Function(&'a Function),
}

/// What a guest imports of the package.
struct Imports {
    /// Without package and version.
    interfaces: Vec<String>,
    versions: Vec<Option<String>>,
    functions: Vec<(String, Function)>,
}

impl Imports {
    fn of(all: &Interfaces) -> Self {
        let mut imports = Self { interfaces: Vec::new(), versions: Vec::new(), functions: Vec::new() };
        for (interface, version) in all.imported.iter().filter_map(|name| split(name)) {
            imports.interfaces.push(interface.to_owned());
            let version = version.map(str::to_owned);
            if !imports.versions.contains(&version) {
                imports.versions.push(version);
            }
        }
        for function in &all.imports {
            if let Some((interface, _)) = split(&function.interface) {
                imports.functions.push((interface.to_owned(), function.clone()));
            }
        }
        imports
    }

    /// Some of that shape's calls look like those of `0.1.0`, but not what they mean.
    fn are_of_february_2024(&self) -> bool {
        self.interfaces.iter().any(|interface| interface.starts_with("eventual"))
            && self.versions.iter().flatten().any(|version| version.starts_with("0.2.0"))
    }

    /// In two versions, of which a linker could have one: both would get the same name.
    fn has_one_twice(&self) -> bool {
        self.interfaces
            .iter()
            .enumerate()
            .any(|(at, one)| self.interfaces.iter().skip(at + 1).any(|other| other == one))
    }

    fn name_version_of(&self, shape: Shape) -> bool {
        self.versions.iter().any(|version| version.as_deref() == shape.version())
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
