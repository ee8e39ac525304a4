//! Reads a model file of any origin, with data in external files beside it.
//!
//! Whatever it contains, reading needs no more memory than a small multiple of the files' sizes, and opens no file
//! outside the model's folder.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use prost::Message;

use crate::files;

use super::OnnxError;
use super::proto::tensor_proto::DataLocation;
use super::proto::{AttributeProto, GraphProto, ModelProto, TensorProto, ValueInfoProto};

/// The largest protobuf message in bytes; also the limit for the external data of a model in total.
const MOST_BYTES: u64 = i32::MAX as u64;
/// The most nodes, constants, attributes and named values in total: a hundred times those of the largest classifiers.
const MOST_MESSAGES: usize = 1_000_000;

/// A model file in memory, with its external data.
#[derive(Debug, Clone)]
pub struct OnnxFile {
    path: PathBuf,
    model: ModelProto,
}

impl OnnxFile {
    /// Reads a model file and its external data.
    ///
    /// # Errors
    /// [`OnnxError::File`] with the reason, in one sentence.
    pub fn read(path: &Path) -> Result<Self, OnnxError> {
        let fail = |reason: String| OnnxError::File {
            path: path.to_owned(),
            reason,
        };
        let bytes = read_all(path).map_err(&fail)?;
        if messages(&bytes).is_none_or(|count| count > MOST_MESSAGES) {
            return Err(fail(
                "it is damaged, not an ONNX file, or has more nodes than any classifier".into(),
            ));
        }
        let mut model = ModelProto::decode(bytes.as_slice())
            .map_err(|error| fail(format!("it is not a complete ONNX file ({error})")))?;
        drop(bytes);
        let Some(graph) = &mut model.graph else {
            return Err(fail("it holds no network".into()));
        };
        if graph.node.is_empty() {
            return Err(fail("it holds a network without operators".into()));
        }
        let mut beside = Beside::of(path);
        of_graph(graph, &mut |tensor| beside.fill(tensor)).map_err(&fail)?;
        let path = path.to_owned();
        Ok(Self { path, model })
    }

    /// The path that it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The program that wrote it: `pytorch`, `tf2onnx`; empty if unknown.
    #[must_use]
    pub fn producer(&self) -> &str {
        self.model.producer_name()
    }

    /// The model as a single file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.model.encode_to_vec()
    }

    /// The model as a single file with one output, which may be any of its values, for comparisons.
    #[must_use]
    pub fn with_output(&self, name: &str) -> Vec<u8> {
        let mut model = self.model.clone();
        if let Some(graph) = &mut model.graph {
            let mut described = graph.output.iter().chain(&graph.value_info);
            let known = described.find(|info| info.name() == name).cloned();
            graph.output = vec![known.unwrap_or_else(|| ValueInfoProto {
                name: Some(name.to_owned()),
                ..ValueInfoProto::default()
            })];
        }
        model.encode_to_vec()
    }
}

/// The contents of a file, with a limit on its size.
fn read_all(path: &Path) -> Result<Vec<u8>, String> {
    let facts = files::metadata(path).map_err(|error| error.to_string())?;
    if !facts.is_file() {
        return Err("it is not a file".into());
    }
    if facts.len() > MOST_BYTES {
        return Err("it is larger than the 2 GB that an ONNX file can have".into());
    }
    let mut bytes = Vec::new();
    files::open(path)
        .and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Calls `each` for all constants of a graph.
fn of_graph(
    graph: &mut GraphProto,
    each: &mut impl FnMut(&mut TensorProto) -> Result<(), String>,
) -> Result<(), String> {
    graph.initializer.iter_mut().try_for_each(&mut *each)?;
    for node in &mut graph.node {
        for attribute in &mut node.attribute {
            let AttributeProto {
                t,
                tensors,
                g,
                graphs,
                ..
            } = attribute;
            t.iter_mut().chain(tensors).try_for_each(&mut *each)?;
            for inner in g.iter_mut().chain(graphs) {
                of_graph(inner, each)?;
            }
        }
    }
    Ok(())
}

/// The external files of a model.
struct Beside {
    folder: PathBuf,
    open: Option<(String, File, u64)>,
    read: u64,
}

impl Beside {
    fn of(model: &Path) -> Self {
        Self {
            folder: model.parent().unwrap_or(Path::new("")).to_owned(),
            open: None,
            read: 0,
        }
    }

    /// Reads the data of a constant, if it is external.
    fn fill(&mut self, tensor: &mut TensorProto) -> Result<(), String> {
        if tensor.data_location() != DataLocation::External {
            return Ok(());
        }
        let name = tensor.name().to_owned();
        let entry = |key: &str| {
            let mut entries = tensor.external_data.iter();
            entries
                .find(|entry| entry.key() == key)
                .map(|entry| entry.value().to_owned())
        };
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => text
                .parse::<u64>()
                .map(Some)
                .map_err(|_| format!("its constant “{name}” has a {key} that is not a number")),
        };
        let location = entry("location")
            .ok_or_else(|| format!("its constant “{name}” does not name its data file"))?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let (file, size) = self.file(&location)?;
        let length = match length {
            Some(length) => length,
            None => size.saturating_sub(offset),
        };
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(format!(
                "its constant “{name}” is beyond the end of “{location}”; copy that file next to it again"
            ));
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.take(length).read_to_end(&mut bytes))
            .map_err(|error| format!("its data file “{location}” cannot be read: {error}"))?;
        self.read = self.read.saturating_add(length);
        if self.read > MOST_BYTES {
            return Err("it has more than 2 GB of data in other files".into());
        }
        tensor.raw_data = Some(bytes);
        tensor.external_data.clear();
        tensor.data_location = None;
        Ok(())
    }

    /// Opens a file in the folder, and returns its length.
    fn file(&mut self, location: &str) -> Result<(&mut File, u64), String> {
        if self.open.as_ref().is_none_or(|(name, ..)| name != location) {
            let path = self.inside(location)?;
            let missing = |error| {
                format!(
                    "its data in “{location}” cannot be read ({error}); put that file next to it"
                )
            };
            let facts = files::metadata(&path).map_err(missing)?;
            if !facts.is_file() {
                return Err(format!(
                    "its data should be in “{location}”, which is not a file"
                ));
            }
            let file = files::open(&path).map_err(missing)?;
            self.open = Some((location.to_owned(), file, facts.len()));
        }
        let open = self.open.as_mut().map(|(_, file, size)| (file, *size));
        open.ok_or_else(|| format!("“{location}” cannot be opened"))
    }

    /// The path of a file in the folder, without following links.
    fn inside(&self, location: &str) -> Result<PathBuf, String> {
        let outside =
            || format!("its data is in “{location}”, outside its folder, where nothing is read");
        let relative = Path::new(location);
        let mut path = self.folder.clone();
        if location.is_empty() {
            return Err(outside());
        }
        for part in relative.components() {
            match part {
                Component::CurDir => continue,
                Component::Normal(name) => path.push(name),
                _ => return Err(outside()),
            }
            if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
                return Err(outside());
            }
        }
        Ok(path)
    }
}

/// Counts the messages in a model file without allocating them, because the smallest take a hundred times as much
/// memory as in the file; `None` if the file is damaged.
fn messages(bytes: &[u8]) -> Option<usize> {
    count(bytes, Kind::Model, 0)
}

/// The kinds of messages that contain others.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    /// Any message that contains only fields of its own.
    Plain,
}

/// The deepest nesting of graphs, the limit of prost.
const DEEPEST: usize = 90;

fn count(bytes: &[u8], kind: Kind, depth: usize) -> Option<usize> {
    if depth > DEEPEST {
        return None;
    }
    let mut total = 0_usize;
    let mut rest = bytes;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let inner = match key & 7 {
            0 => {
                varint(&mut rest)?;
                continue;
            }
            1 => take(&mut rest, 8)?,
            2 => {
                let len = varint(&mut rest)?;
                take(&mut rest, usize::try_from(len).ok()?)?
            }
            5 => take(&mut rest, 4)?,
            _ => return None,
        };
        if key & 7 != 2 {
            continue;
        }
        let inside = match (kind, key >> 3) {
            (Kind::Model, 7) | (Kind::Attribute, 6 | 11) => Kind::Graph,
            (Kind::Graph, 1) => Kind::Node,
            (Kind::Node, 5) => Kind::Attribute,
            (Kind::Model, 8 | 14)
            | (Kind::Graph, 5 | 11..=13 | 15)
            | (Kind::Attribute, 5 | 10 | 14 | 15 | 22 | 23) => Kind::Plain,
            // Strings and the like: even an empty one takes up to three words.
            _ => {
                total += usize::from(inner.len() < 8);
                continue;
            }
        };
        total += 1;
        if !matches!(inside, Kind::Plain) {
            total = total.checked_add(count(inner, inside, depth + 1)?)?;
        } else if inner.len() < 1 << 20 {
            // Dimensions and entries of small messages are few; large fields are data.
            total = total.checked_add(inner.len() / 64)?;
        }
        if total > MOST_MESSAGES {
            return Some(total);
        }
    }
    Some(total)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 127).checked_shl(shift).unwrap_or(0);
        if byte & 128 == 0 {
            return Some(value);
        }
    }
    None
}
