use std::fs;

use wit_component::ComponentEncoder;

use super::compiler::{Compiler, TARGET};
use super::{folder, sources};
use crate::project::{Project, metadata};
use crate::{Result, steps};

/// Builds every guest in Rust and writes the components, with what they were built of.
pub(crate) fn build(compiler: &Compiler) -> Result {
    let target = metadata()?.target_directory.join("guests/cargo");
    let guests = folder()?;
    let mut cargo = compiler.cargo()?;
    cargo.arg("--manifest-path").arg(guests.join("rust/Cargo.toml")).arg("--target-dir").arg(&target);
    steps::run(&mut cargo)?;

    let built = guests.join("built");
    fs::create_dir_all(&built)?;
    // Only now: the build may have written the lock file.
    let project = Project::load()?;
    let mut records = sources::Records::new();
    for name in sources::names(&project.files)? {
        let module = target.join(TARGET).join("release").join(name.replace(['-', '.'], "_")).with_extension("wasm");
        let module = fs::read(&module).map_err(|cause| format!("{}: {cause}", module.display()))?;
        let component = component(&module).map_err(|cause| format!("{name}: {cause}"))?;
        println!("{:>8} bytes  guests/built/{name}.wasm", component.len());
        fs::write(built.join(format!("{name}.wasm")), &component)?;
        records.insert(name.clone(), sources::Record::new(&name, &project.files, &component)?);
    }
    Ok(fs::write(built.join("sources.json"), serde_json::to_string_pretty(&records)? + "\n")?)
}

/// Makes a component of a module, by the world that wit-bindgen left in it.
fn component(module: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = ComponentEncoder::default().module(module)?.validate(true);
    encoder.encode().map_err(|cause| format!("{cause:#}").into())
}
