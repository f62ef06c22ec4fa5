use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use wit_parser::{Handle, InterfaceId, PackageId, Resolve, Type, TypeDefKind, TypeId};

use super::*;

/// Where a shape's WIT is, and the table made from it.
fn place(shape: Shape) -> PathBuf {
    let folder = match shape {
        Shape::Golem2023 => "golem-2023",
        Shape::V0_1_0 => "0.1.0",
        Shape::Draft => "0.2.0-draft",
        Shape::Draft2 => "0.2.0-draft2",
        Shape::Spin => "0.2.0-draft2-spin",
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("wit").join(folder)
}

/// The table as it is in the WIT, where it is read by another parser than wasmtime's types.
fn table(folder: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(folder).unwrap();
    let mut table = String::new();
    for (name, id) in interfaces(&resolve, package) {
        if matches!(name.as_str(), "watcher" | "handle-watch") {
            continue;
        }
        for function in resolve.interfaces[id].functions.values() {
            let word = if function.kind.is_async() { "async " } else { "" };
            let params: Vec<String> = function.params.iter().map(|param| text(&resolve, &param.ty)).collect();
            write!(table, "{name} {} {word}({})", function.name, params.join(", ")).unwrap();
            if let Some(result) = &function.result {
                write!(table, " -> {}", text(&resolve, result)).unwrap();
            }
            table.push('\n');
        }
    }
    table
}

fn interfaces(resolve: &Resolve, package: PackageId) -> Vec<(String, InterfaceId)> {
    resolve.packages[package].interfaces.iter().map(|(name, id)| (name.clone(), *id)).collect()
}

fn text(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".into(),
        Type::U8 => "u8".into(),
        Type::U32 => "u32".into(),
        Type::U64 => "u64".into(),
        Type::S64 => "s64".into(),
        Type::String => "string".into(),
        Type::Id(id) => defined(resolve, *id),
        other => panic!("no shape has {other:?}"),
    }
}

fn defined(resolve: &Resolve, id: TypeId) -> String {
    let text = |ty: &Type| text(resolve, ty);
    // A resource has one name, whatever else it is called where it is used.
    let name = |mut id: TypeId| {
        while let TypeDefKind::Type(Type::Id(of)) = resolve.types[id].kind {
            id = of;
        }
        resolve.types[id].name.clone().unwrap()
    };
    match &resolve.types[id].kind {
        TypeDefKind::Type(ty) => text(ty),
        TypeDefKind::Handle(Handle::Own(id)) => name(*id),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", name(*id)),
        TypeDefKind::List(ty) => format!("list<{}>", text(ty)),
        TypeDefKind::Stream(ty) => format!("stream<{}>", text(ty.as_ref().unwrap())),
        TypeDefKind::Option(ty) => format!("option<{}>", text(ty)),
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<String> = tuple.types.iter().map(text).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Result(result) => {
            let ok = result.ok.as_ref().map_or("_".into(), text);
            format!("result<{ok}, {}>", text(result.err.as_ref().unwrap()))
        }
        TypeDefKind::Record(record) => {
            let fields: Vec<String> =
                record.fields.iter().map(|field| format!("{}: {}", field.name, text(&field.ty))).collect();
            format!("record {{ {} }}", fields.join(", "))
        }
        TypeDefKind::Variant(variant) => {
            let cases: Vec<String> = variant
                .cases
                .iter()
                .map(|case| match &case.ty {
                    Some(ty) => format!("{}({})", case.name, text(ty)),
                    None => case.name.clone(),
                })
                .collect();
            format!("variant {{ {} }}", cases.join(", "))
        }
        other => panic!("no shape has {other:?}"),
    }
}

/// With `KV_WRITE_TABLES` set it writes them instead.
#[test]
fn tables_are_those_of_the_wit() {
    for shape in Shape::ALL {
        let folder = place(shape);
        let (_, known) = TABLES.iter().find(|(known, _)| *known == shape).unwrap();
        check_table(&folder, known, &table(&folder));
    }
    let stable = table(&place(Shape::V0_1_0));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit/0.1.0-streams");
    let newer = table(&folder);
    let other: String = newer
        .lines()
        .filter(|line| !stable.lines().any(|known| known == *line))
        .map(|line| line.to_owned() + "\n")
        .collect();
    check_table(&folder, STREAMS, &other);
}

fn check_table(folder: &Path, known: &str, table: &str) {
    if std::env::var_os("KV_WRITE_TABLES").is_some() {
        return std::fs::write(format!("{}.txt", folder.display()), table).unwrap();
    }
    assert_eq!(known, table, "{}", folder.display());
}

fn interfaces_of(functions: &[(&str, &str, &str)]) -> Interfaces {
    let imports: Vec<Function> = functions
        .iter()
        .map(|(interface, name, types)| Function {
            interface: (*interface).into(),
            name: (*name).into(),
            signature: (*types).into(),
            types: (*types).into(),
        })
        .collect();
    let mut imported: Vec<String> = imports.iter().map(|function| function.interface.clone()).collect();
    imported.dedup();
    Interfaces { imported, imports, exports: Vec::new() }
}

fn shapes_of(functions: &[(&str, &str, &str)]) -> Vec<Shape> {
    Shapes::of(&interfaces_of(functions)).unwrap().all()
}

const ERROR: &str = "variant { no-such-store, access-denied, other(string) }";

#[test]
fn a_shape_is_told_by_its_functions_and_not_by_its_version() {
    let many = |result: &str| format!("(borrow<bucket>, list<string>) -> result<list<{result}>, {ERROR}>");
    let proposal = many("option<tuple<string, list<u8>>>");
    let spin = many("tuple<string, option<list<u8>>>");
    for version in ["0.2.0-draft2", "0.2.0", "0.3.0-rc-1"] {
        let batch = format!("wasi:keyvalue/batch@{version}");
        let shapes = |signature: &str| shapes_of(&[(&batch, "get-many", signature)]);
        assert_eq!(shapes(&spin), [Shape::Spin]);
        assert_ne!(shapes(&proposal), [Shape::Spin]);
    }
    let increment = |delta: &str, version: &str| {
        let signature = format!("(borrow<bucket>, string, {delta}) -> result<{delta}, {ERROR}>");
        shapes_of(&[(&format!("wasi:keyvalue/atomics@{version}"), "increment", &signature)])
    };
    assert_eq!(increment("u64", "0.2.0-draft2"), [Shape::Draft]);
    assert_eq!(increment("s64", "0.2.0-draft"), [Shape::Draft2]);
    assert_eq!(shapes_of(&[("wasi:cli/stdout@0.2.0", "get-stdout", "()")]), []);
}

#[test]
fn shapes_that_are_not_supported_are_refused_by_name() {
    let refused = |functions: &[(&str, &str, &str)]| Shapes::of(&interfaces_of(functions)).err().unwrap().to_string();
    let text = refused(&[("wasi:keyvalue/types", "drop-bucket", "(bucket: u32)")]);
    assert!(text.contains("before December 2023"), "{text}");
    let text = refused(&[(
        "wasi:keyvalue/eventual@0.2.0-draft",
        "delete",
        "(bucket: borrow<bucket>, key: string) -> result<_, error>",
    )]);
    assert!(text.contains("February 2024"), "{text}");
    let text = refused(&[("wasi:keyvalue/store@0.9.0", "frobnicate", "(x: u8)")]);
    assert!(text.contains("wasi:keyvalue@0.9.0") && text.contains("frobnicate"), "{text}");
    assert!(Shape::ALL.iter().all(|shape| text.contains(shape.name())), "{text}");
}

#[test]
fn golems_newer_shape_runs_with_traps_for_its_streams() {
    let import = |(interface, name, types): (&str, &'static str, &'static str)| {
        (format!("wasi:keyvalue/{interface}@0.1.0"), name, types)
    };
    let shared = |(interface, name, _): &(&str, &str, &str)| {
        matches!(*interface, "types" | "eventual") && !name.contains("async")
    };
    let told = |rows: Vec<(&'static str, &'static str, &'static str)>| {
        let owned: Vec<_> = rows.into_iter().map(import).collect();
        let functions: Vec<_> =
            owned.iter().map(|(interface, name, types)| (interface.as_str(), *name, *types)).collect();
        let shapes = Shapes::of(&interfaces_of(&functions)).unwrap();
        (shapes.all(), shapes.traps().into_iter().map(|function| function.name).collect::<Vec<_>>())
    };
    let whole: Vec<_> = Shape::V0_1_0.table().filter(shared).collect();
    assert_eq!(told(whole.clone()), (vec![Shape::V0_1_0], vec![]));
    let streams: Vec<_> = rows(STREAMS).map(|(_, name, _)| name.to_owned()).collect();
    assert_eq!(told([whole, rows(STREAMS).collect()].concat()), (vec![Shape::V0_1_0], streams));
}
