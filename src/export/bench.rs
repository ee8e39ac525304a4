//! Timing the models of an export, and the candidates of a search, beside the model in fp32.

use std::time::Duration;

use crate::evaluate::InputKind;
use crate::graph::Graph;
use crate::jobs::Work;
use crate::project::Project;

use super::golden::Chosen;
use super::latency::{ENOUGH, Latencies, Measured, ROUGHLY};
use super::onnx::metadata;
use super::{Certificate, ExportError, Format, Latency, Model, ModelFile, Options, manifest};

/// Where models are timed.
pub(super) struct Bench<'a> {
    latencies: Latencies<'a>,
    /// The model in fp32, and what it is measured on; without test images nothing is measured.
    reference: Vec<ModelFile>,
    hash: String,
    golden: &'a Chosen,
}

impl<'a> Bench<'a> {
    pub fn new(
        project: &'a Project,
        model: &Model,
        golden: &'a Chosen,
    ) -> Result<Self, ExportError> {
        let reference = Format::ONNX.write(model, &Options::default())?;
        Ok(Self {
            latencies: Latencies::of(project)?,
            hash: hash_of(&reference),
            reference,
            golden,
        })
    }

    /// The computer and what runs models on it, in words.
    pub fn computer(&self) -> &str {
        self.latencies.computer()
    }

    /// The latency of a model of this format, whose files were read back; `name` is shown as progress.
    pub fn latency(
        &mut self,
        format: Format,
        name: &str,
        files: &[ModelFile],
        work: &Work,
    ) -> Result<Option<Latency>, ExportError> {
        self.timed(format, name, files, ENOUGH, work)
    }

    fn timed(
        &mut self,
        format: Format,
        name: &str,
        files: &[ModelFile],
        enough: Duration,
        work: &Work,
    ) -> Result<Option<Latency>, ExportError> {
        let Some(image) = self.golden.first().filter(|_| format.runs_as_delivered()) else {
            return Ok(None);
        };
        let hash = hash_of(files);
        if let Some(known) = self.latencies.known(&hash, &self.hash) {
            return Ok(Some(known));
        }
        work.stage(format!("Timing {name}"), None);
        let measured = |format: Format, files: &[ModelFile], hash: &str| {
            let runner = format.open(files, 1)?;
            let input = runner.recipe().tensor(image);
            Ok::<_, ExportError>(Measured {
                hash: hash.to_owned(),
                runner,
                input,
            })
        };
        let mut model = measured(format, files, &hash)?;
        let mut reference = measured(Format::ONNX, &self.reference, &self.hash)?;
        Ok(Some(self.latencies.measure(
            &mut model,
            &mut reference,
            enough,
            work,
        )?))
    }

    /// Says of the candidates of a search for an int8 model how long an image takes them. Only two of them have to be timed, and
    /// the one that was taken was: the others have the operators of one of these.
    pub fn candidates(
        &mut self,
        model: &Model,
        certificate: &mut Certificate,
        work: &Work,
    ) -> Result<(), ExportError> {
        let of_taken = certificate.models.iter().find_map(|proof| {
            let is_searched = proof.search.is_some();
            proof.latency.filter(|_| is_searched)
        });
        let (Some(taken), Some(quantized)) = (of_taken, &model.quantized) else {
            return Ok(());
        };
        let other = match &quantized.other {
            Some(other) => self.other(model, other, work)?,
            None => None,
        };
        for search in certificate
            .models
            .iter_mut()
            .filter_map(|proof| proof.search.as_mut())
        {
            for candidate in &mut search.candidates {
                let like_taken = candidate.real_values == quantized.real_values();
                let latency = if like_taken { Some(taken) } else { other };
                candidate.latency_ratio = latency.map(|latency| latency.ratio_to_fp32);
            }
        }
        Ok(())
    }

    /// The latency of a candidate that is not exported.
    fn other(
        &mut self,
        model: &Model,
        other: &Graph,
        work: &Work,
    ) -> Result<Option<Latency>, ExportError> {
        let mut other = other.clone();
        other.metadata = metadata(model, &model.recipe(InputKind::Uint8Nhwc))?;
        let file = ModelFile {
            name: Format::ONNX_INT8.file().to_owned(),
            bytes: other.to_onnx(),
        };
        let name = "another int8 model";
        self.timed(Format::ONNX_INT8, name, &[file], ROUGHLY, work)
    }
}

/// Of all files of a model together.
fn hash_of(files: &[ModelFile]) -> String {
    let hashes: String = files
        .iter()
        .map(|file| manifest::hash(&file.bytes))
        .collect();
    manifest::hash(hashes.as_bytes())
}
