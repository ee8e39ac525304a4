//! Makes the code of file formats from their schemas. Run by `packaging/schemas.sh`, which explains it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use prost_build::{Config, Module};

/// A schema, and the file that is made from it; both below the repository's root.
struct Schema {
    source: &'static str,
    code: &'static str,
    /// What the format is called.
    format: &'static str,
}

const SCHEMAS: &[Schema] = &[
    Schema {
        source: "src/onnx/schema/onnx.proto",
        code: "src/onnx/proto.rs",
        format: "ONNX",
    },
    Schema {
        source: "src/export/tflite/schema/tflite.fbs",
        code: "src/export/tflite/schema/tflite_generated.rs",
        format: "TensorFlow Lite",
    },
    Schema {
        source: "src/export/tflite/schema/metadata.fbs",
        code: "src/export/tflite/schema/metadata_generated.rs",
        format: "TensorFlow Lite metadata",
    },
    Schema {
        source: "src/export/frozen_graph/schema/graph.proto",
        code: "src/export/frozen_graph/schema/graph.rs",
        format: "TensorFlow GraphDef",
    },
    Schema {
        source: "src/export/coreml/schema/coreml.proto",
        code: "src/export/coreml/schema/coreml.rs",
        format: "Core ML",
    },
];

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
    let (kind, lints, code) = match path.extension().and_then(|extension| extension.to_str()) {
        Some("proto") => ("protobuf messages", "", protobuf(&path)?),
        Some("fbs") => (
            "flatbuffers",
            ", unused, deprecated, clippy::unwrap_used, unsafe_op_in_unsafe_fn",
            flatbuffers(&path)?,
        ),
        _ => bail!("a schema is a .proto or .fbs file"),
    };
    let Schema { source, format, .. } = schema;
    Ok(format!(
        "//! {format} {kind}, made from `{source}` by `packaging/schemas.sh`. Do not edit.\n\
         #![allow(missing_docs, clippy::all, clippy::pedantic{lints})] // generated code\n\n{code}"
    ))
}

fn protobuf(path: &Path) -> Result<String> {
    let folder = path.parent().context("a schema lies in a folder")?;
    let files = protox::compile([path], [folder])?.file;
    let requests = files
        .into_iter()
        .map(|file| (Module::from_protobuf_package_name(file.package()), file))
        .collect();
    // Maps in the order of their keys: the same message gives the same bytes each time.
    let mut config = Config::new();
    config.btree_map(["."]);
    let mut modules = config.generate(requests)?.into_values();
    let (Some(code), None) = (modules.next(), modules.next()) else {
        bail!("it must have one package, for one file of code");
    };
    Ok(code)
}

/// Runs the `flatc` that `packaging/schemas.sh` names in `FLATC`.
fn flatbuffers(path: &Path) -> Result<String> {
    let flatc = std::env::var_os("FLATC").context("FLATC is not set; run packaging/schemas.sh")?;
    let out = tempfile::tempdir()?;
    let status = Command::new(&flatc)
        .arg("--rust")
        .arg("-o")
        .arg(out.path())
        .arg(path)
        .status()
        .with_context(|| flatc.display().to_string())?;
    let stem = path.file_stem().context("a schema has a name")?;
    let name = format!("{}_generated.rs", stem.to_string_lossy());
    if !status.success() {
        bail!("flatc failed");
    }
    Ok(std::fs::read_to_string(out.path().join(name))?)
}
