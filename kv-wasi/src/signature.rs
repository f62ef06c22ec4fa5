//! Function types as one line of text, by which shapes are told apart.

use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ResourceType, Type};

/// A function that a component imports or exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// The instance that it belongs to, such as `wasi:keyvalue/store@0.2.0-draft`; empty for one that stands by itself.
    pub interface: String,
    /// Its name, such as `[method]bucket.get`.
    pub name: String,
    /// Its parameters and result, in WIT's words, types written out.
    pub signature: String,
    /// The same without the parameters' names. wasmtime links what has other ones.
    pub(crate) types: String,
}

/// How the type of an async function begins.
pub(crate) const ASYNC: &str = "async ";

/// A component's side that others see.
pub(crate) struct Interfaces {
    /// All imported instances, also those without functions.
    pub(crate) imported: Vec<String>,
    pub(crate) imports: Vec<Function>,
    pub(crate) exports: Vec<Function>,
}

impl Interfaces {
    pub(crate) fn of(component: &Component, engine: &Engine) -> Self {
        let ty = component.component_type();
        let imports: Vec<(&str, ComponentItem)> = ty.imports(engine).map(|(name, item)| (name, item.ty)).collect();
        let exports: Vec<(&str, ComponentItem)> = ty.exports(engine).map(|(name, item)| (name, item.ty)).collect();
        let mut names = Names(Vec::new());
        for (name, item) in imports.iter().chain(&exports) {
            names.learn(name, item, engine);
        }
        let imported = imports
            .iter()
            .filter(|(_, item)| matches!(item, ComponentItem::ComponentInstance(_)))
            .map(|(name, _)| (*name).to_owned())
            .collect();
        Self { imported, imports: functions(&imports, &names, engine), exports: functions(&exports, &names, engine) }
    }
}

/// The functions of instances, and those that stand by themselves.
fn functions(items: &[(&str, ComponentItem)], names: &Names, engine: &Engine) -> Vec<Function> {
    let mut functions = Vec::new();
    for (name, item) in items {
        match item {
            ComponentItem::ComponentFunc(function) => functions.push(names.function("", name, function)),
            ComponentItem::ComponentInstance(instance) => {
                for (inner, item) in instance.exports(engine) {
                    if let ComponentItem::ComponentFunc(function) = item.ty {
                        functions.push(names.function(name, inner, &function));
                    }
                }
            }
            _ => {}
        }
    }
    functions
}

/// What resources are called.
struct Names(Vec<(ResourceType, String)>);

impl Names {
    fn learn(&mut self, name: &str, item: &ComponentItem, engine: &Engine) {
        match item {
            ComponentItem::Resource(resource) => self.add(*resource, name),
            ComponentItem::ComponentInstance(instance) => {
                for (inner, item) in instance.exports(engine) {
                    if let ComponentItem::Resource(resource) = item.ty {
                        self.add(resource, inner);
                    }
                }
            }
            _ => {}
        }
    }

    /// The first name counts; interfaces that use another's type give it a name too, mostly the same.
    fn add(&mut self, resource: ResourceType, name: &str) {
        if self.0.iter().all(|(known, _)| *known != resource) {
            self.0.push((resource, name.to_owned()));
        }
    }

    fn function(&self, interface: &str, name: &str, function: &ComponentFunc) -> Function {
        let params: Vec<(String, String)> =
            function.params().map(|(name, ty)| (format!("{name}: "), self.text(&ty))).collect();
        let results: Vec<String> = function.results().map(|ty| self.text(&ty)).collect();
        let arrow = if results.is_empty() { "" } else { " -> " };
        let word = if function.async_() { ASYNC } else { "" };
        let whole = |params: Vec<String>| format!("{word}({}){arrow}{}", params.join(", "), results.join(", "));
        Function {
            interface: interface.to_owned(),
            name: name.to_owned(),
            signature: whole(params.iter().map(|(name, ty)| format!("{name}{ty}")).collect()),
            types: whole(params.into_iter().map(|(_, ty)| ty).collect()),
        }
    }

    fn text(&self, ty: &Type) -> String {
        let list = |types: Vec<String>| types.join(", ");
        let case =
            |name: &str, ty: Option<Type>| ty.map_or(name.to_owned(), |ty| format!("{name}({})", self.text(&ty)));
        match ty {
            Type::Bool => "bool".into(),
            Type::S8 => "s8".into(),
            Type::U8 => "u8".into(),
            Type::S16 => "s16".into(),
            Type::U16 => "u16".into(),
            Type::S32 => "s32".into(),
            Type::U32 => "u32".into(),
            Type::S64 => "s64".into(),
            Type::U64 => "u64".into(),
            Type::Float32 => "f32".into(),
            Type::Float64 => "f64".into(),
            Type::Char => "char".into(),
            Type::String => "string".into(),
            Type::ErrorContext => "error-context".into(),
            Type::List(ty) => format!("list<{}>", self.text(&ty.ty())),
            Type::FixedLengthList(ty) => format!("list<{}, {}>", self.text(&ty.ty()), ty.len()),
            Type::Map(ty) => format!("map<{}, {}>", self.text(&ty.key()), self.text(&ty.value())),
            Type::Tuple(ty) => format!("tuple<{}>", list(ty.types().map(|ty| self.text(&ty)).collect())),
            Type::Option(ty) => format!("option<{}>", self.text(&ty.ty())),
            Type::Result(ty) => match (ty.ok(), ty.err()) {
                (None, None) => "result".into(),
                (Some(ok), None) => format!("result<{}>", self.text(&ok)),
                (None, Some(err)) => format!("result<_, {}>", self.text(&err)),
                (Some(ok), Some(err)) => format!("result<{}, {}>", self.text(&ok), self.text(&err)),
            },
            Type::Record(ty) => {
                let fields = ty.fields().map(|field| format!("{}: {}", field.name, self.text(&field.ty)));
                format!("record {{ {} }}", list(fields.collect()))
            }
            Type::Variant(ty) => {
                format!("variant {{ {} }}", list(ty.cases().map(|variant| case(variant.name, variant.ty)).collect()))
            }
            Type::Enum(ty) => format!("enum {{ {} }}", list(ty.names().map(str::to_owned).collect())),
            Type::Flags(ty) => format!("flags {{ {} }}", list(ty.names().map(str::to_owned).collect())),
            Type::Own(ty) => self.name(ty),
            Type::Borrow(ty) => format!("borrow<{}>", self.name(ty)),
            Type::Future(ty) => ty.ty().map_or("future".into(), |ty| format!("future<{}>", self.text(&ty))),
            Type::Stream(ty) => ty.ty().map_or("stream".into(), |ty| format!("stream<{}>", self.text(&ty))),
        }
    }

    fn name(&self, resource: &ResourceType) -> String {
        let found = self.0.iter().find(|(known, _)| known == resource);
        found.map_or("a resource".into(), |(_, name)| name.clone())
    }
}
