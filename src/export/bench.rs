//! Measures the latency of exported models and of the candidates of a search, relative to the fp32 model.

use std::time::Duration;

use crate::evaluate::InputKind;
use crate::graph::Graph;
use crate::jobs::Work;
use crate::project::Project;

use super::golden::Chosen;
use super::latency::{ENOUGH, Latencies, Measured, ROUGHLY};
use super::onnx::metadata;
use super::{Certificate, ExportError, Format, Latency, Model, ModelFile, Options, manifest};

/// The environment for measurements.
pub(super) struct Bench<'a> {
    latencies: Latencies<'a>,
    /// The fp32 model, and an image to measure with; without test images nothing is measured.
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

    /// A description of the computer and its runtime.
    pub fn computer(&self) -> &str {
        self.latencies.computer()
    }

    /// The latency of a model of this format, read back from its files; `name` is shown as progress.
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

    /// Fills in the latencies of the candidates of an int8 search. Only the one that was not taken has to be timed:
    /// every candidate has the operators of either that one or the model.
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

/// The hash of all files of a model together.
fn hash_of(files: &[ModelFile]) -> String {
    let hashes: String = files
        .iter()
        .map(|file| manifest::hash(&file.bytes))
        .collect();
    manifest::hash(hashes.as_bytes())
}
