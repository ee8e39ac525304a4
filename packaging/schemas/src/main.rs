//! Makes the code of file formats from their schemas. Run by `packaging/schemas.sh`, which explains it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use prost_build::{Config, Module};

/// A schema, and the file that is made from it; both below the repository's root.
struct Schema {
    source: &'static str,
    code: &'static str,
    /// What the format is called.
    format: &'static str,
}

const SCHEMAS: &[Schema] = &[Schema {
    source: "src/onnx/schema/onnx.proto",
    code: "src/onnx/proto.rs",
    format: "ONNX",
}];

fn main() -> Result<()> {
    let check = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => bail!("“{other}” is not an option; the only one is --check"),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut differing = Vec::new();
    for schema in SCHEMAS {
        let code = generate(&root, schema).with_context(|| schema.source.to_owned())?;
        let path = root.join(schema.code);
        if std::fs::read_to_string(&path).is_ok_and(|there| there == code) {
            println!("{}: up to date", schema.code);
        } else if check {
            println!("{}: differs from what {} gives", schema.code, schema.source);
            differing.push(schema.code);
        } else {
            std::fs::write(&path, code).with_context(|| path.display().to_string())?;
            println!("{}: written", schema.code);
        }
    }
    if !differing.is_empty() {
        bail!("run packaging/schemas.sh and commit what it writes");
    }
    Ok(())
}

/// The text of the file `schema.code`.
fn generate(root: &Path, schema: &Schema) -> Result<String> {
    let path = root.join(schema.source);
    let folder = path.parent().context("a schema lies in a folder")?;
    let files = protox::compile([&path], [folder])?.file;
    let requests = files
        .into_iter()
        .map(|file| (Module::from_protobuf_package_name(file.package()), file))
        .collect();
    let mut modules = Config::new().generate(requests)?.into_values();
    let (Some(code), None) = (modules.next(), modules.next()) else {
        bail!("it must have one package, for one file of code");
    };
    let Schema { source, format, .. } = schema;
    Ok(format!(
        "//! {format} protobuf messages, made from `{source}` by `packaging/schemas.sh`. Do not edit.\n\
         #![allow(missing_docs, clippy::all, clippy::pedantic)] // generated code\n\n{code}"
    ))
}
