//! Event files of a finished run beside its curves: its settings and results for the table of the `HParams` plug-in,
//! precision and recall of each class, the confusion matrix.

use prost::Message;

use crate::train::schema::{SETTINGS, SettingGroup, Value};
use crate::train::{Run, TrainError, TrainSettings, files};

use super::proto::{
    Event, HParam, HParamsData, SessionEnd, SessionStart, Summary, SummaryValue, record,
};
use super::{Events, confusion, pr_curve};

/// The outputs of the kept weights on a set of images.
#[derive(Debug)]
pub(in crate::train) struct Tested {
    /// The side of the images: "test", "validation".
    pub images: &'static str,
    /// The class of each image, N.
    pub y: Vec<i64>,
    /// Row-major, `[N, K]`.
    pub logits: Vec<f32>,
}

impl Tested {
    /// For each image its class and the probabilities of all K.
    pub(super) fn probabilities(&self, classes: usize) -> Vec<(usize, Vec<f32>)> {
        let rows = self.logits.chunks(classes.max(1));
        let known = self.y.iter().zip(rows).filter_map(|(y, logits)| {
            let y = usize::try_from(*y).ok()?;
            Some((y, crate::train::gauges::softmax(logits, classes)))
        });
        known.collect()
    }
}

impl Events {
    /// Writes the event file of the run itself, in the folder above those of its two sides: its result, and the
    /// outputs of the kept weights on images, if there are any. It is replaced when the run is extended.
    pub(in crate::train) fn write_outcome(
        &self,
        run: &Run,
        tested: Option<&Tested>,
    ) -> Result<(), TrainError> {
        let path = self.dir.join(self.name());
        let mut bytes = self.version();
        let mut add = |secs: f64, step: u32, value: Vec<SummaryValue>| {
            let event = Event {
                wall_time: self.start + secs,
                step: i64::from(step),
                file_version: None,
                summary: Some(Summary { value }),
            };
            record(&mut bytes, &event);
        };
        let result = run.result();
        let (step, secs) = (result.map_or(0, |result| result.best_step), run.secs());
        add(0.0, 0, vec![session_start(&run.settings, self.start)]);
        let figures = [
            (
                "validation_accuracy",
                result.and_then(|result| result.validation_accuracy),
            ),
            (
                "test_accuracy",
                result.and_then(|result| result.test_accuracy),
            ),
            ("training_seconds", Some(secs as f32)),
        ];
        let scalars = figures
            .into_iter()
            .filter_map(|(tag, value)| Some(SummaryValue::scalar(tag, value?)));
        add(secs, step, scalars.collect());
        if let Some(tested) = tested {
            let classes = &run.classes;
            add(secs, step, pr_curve::of_classes(tested, classes));
            if let Some((png, size)) = confusion::png(tested, classes) {
                let tag = format!("confusion_matrix/{}_images", tested.images);
                add(secs, step, vec![SummaryValue::image(&tag, png, size)]);
            }
        }
        add(secs, step, vec![session_end(self.start + secs)]);
        files::write(&path, &bytes)
    }
}

/// The settings of a run, for its parts.
fn session_start(settings: &TrainSettings, start: f64) -> SummaryValue {
    let plays = |group: SettingGroup| match group {
        SettingGroup::Data | SettingGroup::Head => true,
        SettingGroup::FineTuning => settings.fine_tune.is_on(),
        SettingGroup::Views => settings.fine_tune.has_views(),
    };
    let hparams = SETTINGS
        .iter()
        .filter(|setting| plays(setting.group))
        .filter_map(|setting| {
            let value = match setting.get(settings) {
                Value::Whole(number) => HParam {
                    number: Some(number as f64),
                    ..HParam::default()
                },
                Value::Real(number) => HParam {
                    // By its decimal form, not by the nearest 32-bit float.
                    number: number.to_string().parse().ok(),
                    ..HParam::default()
                },
                Value::Switch(switch) => HParam {
                    switch: Some(switch),
                    ..HParam::default()
                },
                Value::Word(word) => HParam {
                    text: Some(word),
                    ..HParam::default()
                },
                Value::Nothing => return None,
            };
            Some((setting.key.to_owned(), value))
        });
    let data = HParamsData {
        version: 0,
        session_start_info: Some(SessionStart {
            hparams: hparams.collect(),
            start_time_secs: start,
        }),
        session_end_info: None,
    };
    of_hparams("_hparams_/session_start_info", &data)
}

fn session_end(end: f64) -> SummaryValue {
    let data = HParamsData {
        version: 0,
        session_start_info: None,
        session_end_info: Some(SessionEnd {
            status: 1,
            end_time_secs: end,
        }),
    };
    of_hparams("_hparams_/session_end_info", &data)
}

fn of_hparams(tag: &str, data: &HParamsData) -> SummaryValue {
    SummaryValue::of_plugin("hparams", data.encode_to_vec(), [tag, "", ""], (&[0], &[]))
}
