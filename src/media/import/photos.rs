//! Images: copied to the project byte by byte. The images of a group become one source; frames that another project
//! had extracted keep the source and time in their names.

use std::path::{Path, PathBuf};

use crate::files::{self, Durability};
use crate::kind::{ImageKind, Kind};
use crate::media::known::Place;
use crate::media::{MediaError, still};
use crate::project::{
    ClassName, ContentId, FrameName, Label, Sampling, Source, SourceId, SourceKind,
    other_project_source,
};

use super::origin::Photo;
use super::outcome::{Fate, FileReport};
use super::plan::{PlanGroup, PlannedFile};
use super::{COPY_CAME_FIRST, ImportOptions, Importing, OnConflict, known_at, name_of};

/// The images of a group while they are imported.
struct Batch<'a> {
    group: &'a PlanGroup,
    label: Label,
    /// Their source, once there is a usable image, and the number of images written for it.
    source: Option<(Source, u64)>,
    /// The files that were written.
    written: Vec<PathBuf>,
}

impl Importing<'_> {
    /// Imports the images of all groups.
    pub(super) fn photos<'g>(
        &mut self,
        groups: impl Iterator<Item = &'g PlanGroup> + Clone,
    ) -> Result<(), MediaError> {
        let images = |group: &'g PlanGroup| group.files.iter().filter(|file| !file.is_video());
        let total: usize = groups.clone().map(|group| images(group).count()).sum();
        if total == 0 {
            return Ok(());
        }
        self.work.stage("Importing images", Some(total as u64));
        for group in groups {
            let mut batch = Batch {
                group,
                label: group.class.clone().map_or(Label::Unsorted, Label::Class),
                source: None,
                written: Vec::new(),
            };
            let end = images(group).try_for_each(|file| {
                self.work.check()?;
                self.work.detail(name_of(&file.path));
                if let Err(error) = self.photo(&mut batch, file) {
                    self.fail_with(file, error)?;
                }
                self.work.advance(1);
                Ok::<_, MediaError>(())
            });
            self.close(batch, end.is_ok() && !group.more_to_come)?;
            end?;
        }
        Ok(())
    }

    fn photo(&mut self, batch: &mut Batch, file: &PlannedFile) -> Result<(), MediaError> {
        let photo = self.origin.photo(&file.path)?;
        let named = file.path.file_name().and_then(|name| name.to_str());
        let named = named.and_then(FrameName::parse);
        match named {
            Some(name) if name.time_secs.is_some() => self.frame(batch, file, name, &photo),
            named => self.plain_photo(batch, file, named, &photo),
        }
    }

    /// An image that is identified by its bytes.
    fn plain_photo(
        &mut self,
        batch: &mut Batch,
        file: &PlannedFile,
        named: Option<FrameName>,
        photo: &Photo,
    ) -> Result<(), MediaError> {
        if let Some(place) = self.known.photo(&photo.content, &photo.bytes) {
            return self.known_photo(batch.group, file, place);
        }
        if !self.has_class(batch.group.class.as_ref(), file)? {
            return Ok(());
        }
        let source = self.batch_source(batch)?;
        let name = FrameName {
            // A name from another project's batch already contains a readable part.
            stem: named.map_or_else(|| still::stem(&file.path), |name| name.stem),
            source: source.clone(),
            time_secs: None,
            id: photo.content.to_string(),
            extension: photo.extension.clone(),
        };
        let place = self.write(batch, file, &name, photo)?;
        self.known.add_photo(&photo.content, place);
        if let Some((_, count)) = &mut batch.source {
            *count += 1;
        }
        Ok(())
    }

    /// A frame that another project extracted from a video: it keeps its name, so that the frames of one video stay
    /// together in the split.
    fn frame(
        &mut self,
        batch: &mut Batch,
        file: &PlannedFile,
        name: FrameName,
        photo: &Photo,
    ) -> Result<(), MediaError> {
        let name = FrameName {
            extension: photo.extension.clone(),
            ..name
        };
        let path = self.project.frame_path(&batch.label, &name);
        let place = Place {
            path,
            label: batch.label.clone(),
            source: Some(name.source.clone()),
            trashed: false,
        };
        if let Some(place) = self.known.find_frame(&name) {
            return self.known_photo(batch.group, file, place);
        }
        if !self.has_class(batch.group.class.as_ref(), file)? {
            return Ok(());
        }
        self.known.frame(&name, || place);
        if self.project.source(&name.source).is_none() {
            let source = foreign_source(file, &name, batch.group, self.options);
            self.outcome.record.sources.push(source.id.clone());
            self.sides.put(&source.id, source.given_split);
            self.project.put_source(source)?;
        }
        self.write(batch, file, &name, photo)?;
        Ok(())
    }

    /// Writes an image under its new name and reports it.
    fn write(
        &mut self,
        batch: &mut Batch,
        file: &PlannedFile,
        name: &FrameName,
        photo: &Photo,
    ) -> Result<Place, MediaError> {
        let path = self.project.frame_path(&batch.label, name);
        let folder = self.project.label_dir(&batch.label);
        self.project.make_dir(&folder)?;
        let to = self.project.abs(&path);
        files::write(&to, &photo.bytes, Durability::Renamed)?;
        batch.written.push(to);
        for remark in &photo.remarks {
            self.work.warn(remark.clone());
        }
        let note = self.sides.differs(batch.group.side, &name.source);
        let note = photo.remarks.first().cloned().or(note);
        if batch.group.class.is_some() {
            self.placed_images.insert(path.clone());
        }
        let record = &mut self.outcome.record;
        if record.sources.contains(&name.source) {
            let written = self.written.entry(name.source.clone()).or_default();
            written.push(path.clone());
        } else {
            record.frames.push(path.clone());
        }
        self.report(FileReport {
            path: file.path.clone(),
            kind: Some(file.kind),
            fate: Fate::Imported {
                class: batch.group.class.clone(),
                source: name.source.clone(),
                frames: 1,
                place: Some(path.clone()),
                asked: None,
                moved: false,
                replaced: 0,
                note,
            },
        });
        Ok(Place {
            path,
            label: batch.label.clone(),
            source: Some(name.source.clone()),
            trashed: false,
        })
    }

    /// An image that the project has: reported, and moved to its new class if the options request it.
    fn known_photo(
        &mut self,
        group: &PlanGroup,
        file: &PlannedFile,
        place: Place,
    ) -> Result<(), MediaError> {
        let asked = Self::other_class(group.class.as_ref(), &place.label);
        let mut known = known_at(place, asked);
        // Of several copies in one import, the first decides.
        let first = !self.placed_images.contains(&known.place);
        let move_it = self.options.on_conflict == OnConflict::Move && !known.trashed;
        if let Some(class) = known.asked.clone()
            && move_it
            && first
        {
            if !self.has_class(Some(&class), file)? {
                return Ok(());
            }
            let to = Label::Class(class);
            let old = [known.place.clone()];
            let now = self.project.relabel(&old, &to, self.work)?;
            if let Some(path) = now.into_iter().next()
                && path != known.place
            {
                self.known.moved(&known.place, &path, &to);
                let pair = (std::mem::replace(&mut known.place, path.clone()), path);
                self.outcome.record.moved.push(pair);
                known.label = to;
                known.moved = true;
            }
        }
        known.note = self.image_side(group.side, file, &known);
        if known.asked.is_some() && move_it && !first {
            known.note.get_or_insert_with(|| COPY_CAME_FIRST.to_owned());
        }
        if group.class.is_some() {
            self.placed_images.insert(known.place.clone());
        }
        self.report(FileReport {
            path: file.path.clone(),
            kind: Some(file.kind),
            fate: Fate::Known(known),
        });
        Ok(())
    }

    /// The source of a batch, created with its first image: the unfinished one of an interrupted import of the same
    /// folder, or a new one.
    fn batch_source(&mut self, batch: &mut Batch) -> Result<SourceId, MediaError> {
        if let Some((source, _)) = &batch.source {
            return Ok(source.id.clone());
        }
        let group = batch.group;
        let unfinished = self.project.sources().into_iter().find(|source| {
            source.kind == SourceKind::Photos
                && source.extracted.is_none()
                && source.path == group.folder
                && source.class == group.class
                && source.given_split == group.side
        });
        let source = if let Some(source) = unfinished {
            self.remember(&source);
            source
        } else {
            let source = new_batch(group, self.options.sampling);
            self.outcome.record.sources.push(source.id.clone());
            self.sides.put(&source.id, group.side);
            source
        };
        self.project.put_source(source.clone())?;
        let id = source.id.clone();
        batch.source = Some((source, 0));
        Ok(id)
    }

    /// Ends a batch; it stays unfinished unless all of its images were processed.
    fn close(&mut self, batch: Batch, complete: bool) -> Result<(), MediaError> {
        if !batch.written.is_empty() {
            let written = batch.written.iter().map(AsRef::as_ref);
            files::sync_files(self.project.root(), written);
        }
        if let Some((source, count)) = batch.source
            && complete
        {
            self.project.change_source(&source.id, |source| {
                source.extracted = Some(source.extracted.unwrap_or(0) + count);
            })?;
        }
        Ok(())
    }
}

/// A new source for the images of a group.
fn new_batch(group: &PlanGroup, sampling: Sampling) -> Source {
    let class = group.class.as_ref().map_or("", ClassName::as_str);
    let folder = group.folder.display();
    let unique = format!(
        "{folder}\0{class}\0{:?}\0{}",
        group.side,
        jiff::Timestamp::now()
    );
    Source {
        class: group.class.clone(),
        sampling,
        given_split: group.side,
        ..Source::new(
            SourceId::of_batch(&unique),
            SourceKind::Photos,
            name_of(&group.folder),
            group.folder.clone(),
        )
    }
}

/// The source of a frame from another project: as in that project, if the frame is in it; otherwise derived from the
/// frame's name.
fn foreign_source(
    file: &PlannedFile,
    name: &FrameName,
    group: &PlanGroup,
    options: &ImportOptions,
) -> Source {
    let theirs = other_project_source(&file.path, &name.source);
    let class = group.class.clone();
    match theirs {
        Some(source) => Source {
            class,
            given_split: group
                .side
                .or(source.given_split)
                .filter(|_| !options.ignore_split),
            replacing: false,
            edition: 0,
            ..source
        },
        None => Source {
            class,
            sampling: options.sampling,
            extracted: Some(0),
            given_split: group.side,
            ..Source::new(
                name.source.clone(),
                SourceKind::Photos,
                name.stem.clone(),
                file.path.parent().unwrap_or(Path::new("")).to_owned(),
            )
        },
    }
}

/// The bytes of an image, if it can be decoded, with remarks.
pub(super) fn read_photo(path: &Path) -> Result<Photo, MediaError> {
    let bytes = still::read_file(path)?;
    let remarks = still::load_still(&bytes, path)?.remarks;
    Ok(Photo {
        content: ContentId::of_bytes(&bytes),
        extension: extension(&bytes, path),
        remarks,
        bytes,
    })
}

/// The extension for the content, because other programs rely on it.
fn extension(bytes: &[u8], path: &Path) -> String {
    let by_content = Kind::of_head(bytes)
        .first_image()
        .and_then(ImageKind::extension);
    by_content.map_or_else(
        || {
            path.extension()
                .unwrap_or_default()
                .to_string_lossy()
                .to_lowercase()
        },
        str::to_owned,
    )
}
