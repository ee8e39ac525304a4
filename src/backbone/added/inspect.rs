//! Reads a model file and infers its properties.

use std::collections::HashMap;
use std::path::Path;

use crate::backbone::BackboneError;
use crate::graph::{Dim, Graph, GraphError, ValueId};
use crate::jobs::bound_memory;
use crate::onnx::{ElementType, OnnxError, OnnxFile};

use super::asked::{Asked, Layout, Property, Provenance};
use super::head::{self, Pooled, PooledChoice};
use super::input;

/// The most elements of a value for one image: 1 GB in fp32.
const MOST_ELEMENTS: usize = 1 << 28;

/// A network to be added, with its properties.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The file.
    pub(super) file: OnnxFile,
    /// The whole network, with the usual version of the operators, in fp32.
    pub(super) graph: Graph,
    /// Its input.
    pub(super) input: ValueId,
    /// The type of its elements in the file.
    pub(super) input_element: Option<ElementType>,
    /// Whether the file has fp16 weights.
    pub(super) holds_halves: bool,
    /// The properties stated by the user.
    pub asked: Asked,
    /// The order of the input's dimensions.
    pub layout: Property<Layout>,
    /// Width and height of the input, pixels.
    pub size_px: Property<u32>,
    /// Mean and divisor of each channel value (0..=255); R, G, B.
    pub normalisation: Property<[[f32; 3]; 2]>,
    /// The layer that becomes the bottleneck.
    pub pooled: Property<Pooled>,
    /// Other layers that could become the bottleneck.
    pub choices: Vec<PooledChoice>,
}

/// Reads the network in `path` and infers what it can; `asked` has what the user states.
///
/// # Errors
/// When the file is no usable network, or contradicts the user.
pub fn inspect(path: &Path, asked: &Asked) -> Result<Inspected, BackboneError> {
    let fail = |reason: String| BackboneError::Add {
        path: path.to_owned(),
        reason,
    };
    bound_memory();
    let file = OnnxFile::read(path)?;
    let read = Graph::from_onnx(&file.bytes()).map_err(|error| fail(reason_of(error)))?;
    let holds_halves = read
        .constants()
        .any(|id| read.element(id) == Some(ElementType::F16));
    let elements: HashMap<String, ElementType> = read
        .inputs()
        .iter()
        .filter_map(|id| Some((read.name_of(*id).to_owned(), read.element(*id)?)))
        .collect();
    let graph = read.plain().map_err(|error| fail(reason_of(error)))?;
    let input = input::image_input(&graph).map_err(fail)?;
    let input_element = elements.get(graph.name_of(input)).copied();
    let layout = input::layout(&graph, input, asked).map_err(fail)?;
    let size_px = input::size(&graph, input, layout.value, asked).map_err(fail)?;
    // For one image of that size, all shapes that can be inferred are known.
    let known = match (layout.value, size_px.value) {
        (Some(layout), Some(side)) => of_one_image(&graph, input, layout, side).map_err(fail)?,
        _ => graph.clone(),
    };
    let normalisation = input::normalisation(&known, input, asked).map_err(fail)?;
    let choices = head::choices(&known, input);
    let pooled = match (&asked.pooled, head::find(&known)) {
        (Some(name), found) => {
            let value = known.find(name).ok_or_else(|| {
                let known: Vec<&str> = choices.iter().map(|choice| choice.name.as_str()).collect();
                fail(format!(
                    "it has no tensor “{name}”; a layer with one vector per image is “{}”",
                    known.join("”, “")
                ))
            })?;
            let found = found.ok();
            Property::given(Pooled {
                name: name.clone(),
                dim: head::vector(&known, value),
                classes: found.as_ref().and_then(|found| found.classes),
                head: "everything after it".into(),
            })
        }
        (None, Ok(found)) => {
            let note = match found.classes {
                Some(_) => format!("before {}", found.head),
                None => "the file ends with it".to_owned(),
            };
            Property::found(found, note)
        }
        (None, Err(reason)) => Property::missing(reason),
    };
    Ok(Inspected {
        file,
        graph,
        input,
        input_element,
        holds_halves,
        asked: asked.clone(),
        layout,
        size_px,
        normalisation,
        pooled,
        choices,
    })
}

/// The network for one image, with inferred shapes.
fn of_one_image(graph: &Graph, input: ValueId, layout: Layout, side: u32) -> Result<Graph, String> {
    let side = side as usize;
    let shape = match layout {
        Layout::Nchw => [1, 3, side, side],
        Layout::Nhwc => [1, side, side, 3],
    };
    let mut known = graph.clone();
    known.set_input_shape(input, &Dim::all_fixed(&shape));
    within_bounds(&known)?;
    known.fold_constants().map_err(reason_of)?;
    within_bounds(&known)?;
    Ok(known)
}

/// Checks that no value is larger than in any classifier.
fn within_bounds(graph: &Graph) -> Result<(), String> {
    for node in graph.nodes() {
        for value in node.makes() {
            let lens = graph.lens(value).unwrap_or_default();
            let elements = lens.iter().copied().fold(1, usize::saturating_mul);
            if elements > MOST_ELEMENTS {
                return Err(format!(
                    "its value “{}” would have the shape {lens:?}, which is too large for a classifier",
                    graph.name_of(value)
                ));
            }
        }
    }
    Ok(())
}

/// The message of a graph's error, without its prefix.
pub(super) fn reason_of(error: GraphError) -> String {
    match error {
        GraphError::Model(reason) | GraphError::Onnx(OnnxError::Model(reason)) => reason,
        GraphError::Onnx(other) => other.to_string(),
    }
}

impl Inspected {
    /// Its name: the user's, or the file's; letters, digits and hyphens.
    #[must_use]
    pub fn title(&self) -> String {
        let stem = self.file.path().file_stem().unwrap_or_default();
        let stem = stem.to_string_lossy();
        title(self.asked.name.as_deref().unwrap_or(&stem))
    }

    /// The program that wrote the file, as stated in it.
    #[must_use]
    pub fn producer(&self) -> &str {
        self.file.producer()
    }

    /// What the user must still state before it can be added: the option of the command line, and a sentence.
    #[must_use]
    pub fn missing(&self) -> Option<(&'static str, String)> {
        if self.layout.provenance == Provenance::Missing {
            return Some(("--layout", self.layout.note.clone()));
        }
        if self.size_px.provenance == Provenance::Missing {
            return Some(("--size", self.size_px.note.clone()));
        }
        if self.pooled.provenance == Provenance::Missing {
            return Some(("--pooled", self.pooled.note.clone()));
        }
        if self.normalisation.provenance == Provenance::Missing {
            return Some(("--normalisation", self.normalisation.note.clone()));
        }
        None
    }
}

/// A name in letters, digits, dots and hyphens, at most 40 of them.
fn title(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| match c {
            'a'..='z' | '0'..='9' | '.' => c,
            'A'..='Z' => c.to_ascii_lowercase(),
            _ => '-',
        })
        .collect();
    let mut words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    words.retain(|word| word.chars().any(|c| c.is_ascii_alphanumeric()));
    let short: String = words.join("-").chars().take(40).collect();
    let short = short.trim_matches(['-', '.']).to_owned();
    if short.is_empty() {
        "network".into()
    } else {
        short
    }
}
