//! The metadata of a file for its input, output and model, as `MediaPipe` and the Task Library read it.

use flatbuffers::{FlatBufferBuilder, WIPOffset};

use super::schema::metadata as fb;
use super::{About, LABELS};

/// The oldest version of the metadata parser that understands these metadata.
const OLDEST_READER: &str = "1.0.0";

/// The flatbuffer with the metadata of a model whose input has the shape `image`, `[1, H, W, 3]`.
pub(super) fn metadata(about: &About, image: &[usize]) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let input = input(&mut fbb, about, image);
    let output = output(&mut fbb, about);
    let args = fb::SubGraphMetadataArgs {
        input_tensor_metadata: Some(fbb.create_vector(&[input])),
        output_tensor_metadata: Some(fbb.create_vector(&[output])),
        ..fb::SubGraphMetadataArgs::default()
    };
    let graph = fb::SubGraphMetadata::create(&mut fbb, &args);
    let args = fb::ModelMetadataArgs {
        name: Some(fbb.create_string(&about.name)),
        description: Some(fbb.create_string(&about.description)),
        version: None,
        subgraph_metadata: Some(fbb.create_vector(&[graph])),
        author: Some(fbb.create_string("Salamander")),
        license: Some(fbb.create_string(&about.licence)),
        associated_files: None,
        min_parser_version: Some(fbb.create_string(OLDEST_READER)),
    };
    let model = fb::ModelMetadata::create(&mut fbb, &args);
    fb::finish_model_metadata_buffer(&mut fbb, model);
    fbb.finished_data().to_vec()
}

type TensorMetadata<'a> = WIPOffset<fb::TensorMetadata<'a>>;

fn input<'a>(
    fbb: &mut FlatBufferBuilder<'a>,
    about: &About,
    image: &[usize],
) -> TensorMetadata<'a> {
    let recipe = &about.recipe;
    let size = match image {
        [_, height, width, _] => {
            let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
            let args = fb::ImageSizeArgs {
                width: len(*width),
                height: len(*height),
            };
            Some(fb::ImageSize::create(fbb, &args))
        }
        _ => None,
    };
    let args = fb::ImagePropertiesArgs {
        color_space: fb::ColorSpaceType::RGB,
        default_size: size,
    };
    let properties = fb::ImageProperties::create(fbb, &args);
    let args = fb::ContentArgs {
        content_properties_type: fb::ContentProperties::ImageProperties,
        content_properties: Some(properties.as_union_value()),
    };
    let content = fb::Content::create(fbb, &args);
    // Inputs are plain bytes: the model normalises each channel itself, before any padding. Readers require these
    // parameters anyway.
    let args = fb::NormalizationOptionsArgs {
        mean: Some(fbb.create_vector(&[0.0_f32])),
        std_: Some(fbb.create_vector(&[1.0_f32])),
    };
    let options = fb::NormalizationOptions::create(fbb, &args);
    let args = fb::ProcessUnitArgs {
        options_type: fb::ProcessUnitOptions::NormalizationOptions,
        options: Some(options.as_union_value()),
    };
    let unit = fb::ProcessUnit::create(fbb, &args);
    let args = fb::StatsArgs {
        max: Some(fbb.create_vector(&[255.0_f32])),
        min: Some(fbb.create_vector(&[0.0_f32])),
    };
    let stats = fb::Stats::create(fbb, &args);
    let args = fb::TensorMetadataArgs {
        name: Some(fbb.create_string(&recipe.input.name)),
        description: Some(fbb.create_string(&recipe.steps.join(" "))),
        content: Some(content),
        process_units: Some(fbb.create_vector(&[unit])),
        stats: Some(stats),
        ..fb::TensorMetadataArgs::default()
    };
    fb::TensorMetadata::create(fbb, &args)
}

fn output<'a>(fbb: &mut FlatBufferBuilder<'a>, about: &About) -> TensorMetadata<'a> {
    let features = fb::FeatureProperties::create(fbb, &fb::FeaturePropertiesArgs {});
    let args = fb::ContentArgs {
        content_properties_type: fb::ContentProperties::FeatureProperties,
        content_properties: Some(features.as_union_value()),
    };
    let content = fb::Content::create(fbb, &args);
    let args = fb::StatsArgs {
        max: Some(fbb.create_vector(&[1.0_f32])),
        min: Some(fbb.create_vector(&[0.0_f32])),
    };
    let stats = fb::Stats::create(fbb, &args);
    let args = fb::AssociatedFileArgs {
        name: Some(fbb.create_string(LABELS)),
        description: Some(fbb.create_string("The class of each probability, one per line.")),
        type_: fb::AssociatedFileType::TENSOR_AXIS_LABELS,
    };
    let labels = fb::AssociatedFile::create(fbb, &args);
    let args = fb::TensorMetadataArgs {
        name: Some(fbb.create_string(&about.recipe.output.name)),
        description: Some(fbb.create_string("One probability per class.")),
        content: Some(content),
        stats: Some(stats),
        associated_files: Some(fbb.create_vector(&[labels])),
        ..fb::TensorMetadataArgs::default()
    };
    fb::TensorMetadata::create(fbb, &args)
}
