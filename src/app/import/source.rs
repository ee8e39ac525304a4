//! Changing a source: its class, the place of its file, removing it from the list.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::ImportAction;
use crate::app::{App, Lane};
use crate::jobs::JobError;
use crate::project::{Change, ClassName, ContentId, Label, SourceId};

impl App {
    /// Gives sources a class, in one change.
    pub(super) fn set_source_classes(&mut self, ids: &[SourceId], class: Option<&ClassName>) {
        if !self.may_change() {
            return;
        }
        let Some(session) = &mut self.session else {
            return;
        };
        let label =
            |class: Option<&ClassName>| class.cloned().map_or(Label::Unsorted, Label::Class);
        let mut before: HashMap<SourceId, Label> = HashMap::new();
        for source in &mut session.sources {
            if ids.contains(&source.id) && source.class.as_ref() != class {
                before.insert(source.id.clone(), label(source.class.as_ref()));
                source.class = class.cloned();
            }
        }
        if before.is_empty() {
            return;
        }
        // The frames that the change will move; the change itself lists the frames again.
        let frames: Vec<String> = session
            .snapshot
            .frames
            .list
            .iter()
            .filter(|frame| {
                let source = frame.source.as_ref();
                source.and_then(|source| before.get(source)) == Some(&frame.label)
            })
            .map(|frame| frame.path.clone())
            .collect();
        let shown = Change::Relabel {
            frames,
            to: label(class),
        };
        let sources = ids
            .iter()
            .filter(|id| before.contains_key(*id))
            .cloned()
            .collect();
        let class = class.cloned();
        self.edit_as(&shown, Change::SetSourceClass { sources, class });
    }

    pub(super) fn remove_source(&mut self, id: SourceId, trash: bool) {
        if !self.may_change() {
            return;
        }
        self.apply_import(ImportAction::CancelExtract(id.clone()));
        let Some(session) = &mut self.session else {
            return;
        };
        session.sources.retain(|source| source.id != id);
        session.import.selected.remove(&id);
        let frames: Vec<String> = session
            .snapshot
            .frames
            .list
            .iter()
            .filter(|frame| frame.source.as_ref() == Some(&id))
            .map(|frame| frame.path.clone())
            .collect();
        let project = Arc::clone(&session.project);
        if trash && !frames.is_empty() {
            self.edit(Change::Trash { frames });
        }
        self.tasks.start(
            Lane::Edit,
            "Removing a source",
            true,
            move |_| project.remove_source(&id),
            |app, result| {
                if let Err(error) = result {
                    app.fail(error.to_string());
                }
                app.refresh();
            },
        );
    }

    /// Opens a video again after it crashed its decoder.
    pub(super) fn try_again(&mut self, id: &SourceId) {
        if let Some(session) = &self.session
            && let Some(source) = session.source(id)
        {
            session.previews.try_again(&source.path);
        }
    }

    /// Sets the new place of a source's file.
    pub(super) fn locate(&mut self, id: &SourceId, path: PathBuf) {
        if !self.may_change() {
            return;
        }
        let Some(session) = &self.session else {
            return;
        };
        let Some(mut source) = session.project.source(id) else {
            return;
        };
        session.previews.forget(&source.path);
        session.previews.forget(&path);
        let project = Arc::clone(&session.project);
        self.tasks.start(
            Lane::Edit,
            "Checking the file",
            false,
            move |work| {
                let content = ContentId::of_file(&path, work)?;
                if !source.is_of(&path, &content, work)? {
                    return Ok(false);
                }
                if source.id.is_legacy() {
                    source.content = Some(content);
                }
                source.path = path;
                project.put_source(source).map(|()| true)
            },
            |app, result| {
                match result {
                    Ok(true) | Err(JobError::Cancelled) => {}
                    Ok(false) => {
                        app.fail("That is a different video. Add it as a new source instead");
                    }
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
                app.refresh();
            },
        );
    }
}
