use crate::config::{Config, Files};

/// What a part of a plan was made of: its sections, and the files that they name.
#[derive(Debug)]
pub(super) struct Origin<S> {
    sections: S,
    files: Files,
}

impl<S: PartialEq> Origin<S> {
    /// Has `make` make something of `sections`, and notes the files that it names.
    pub(super) fn of<T>(config: &Config, sections: S, make: impl FnOnce() -> T) -> (Self, T) {
        // What was named before belongs to something else.
        drop(config.folder.take());
        let made = make();
        (Self { sections, files: config.folder.take() }, made)
    }

    /// Notes that what was made by `other` is still in use.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.files.add(&other.files);
        self
    }

    /// Whether the same would be made again.
    pub(super) fn is(&self, sections: &S) -> bool {
        self.sections == *sections && self.files.are_unchanged()
    }

    /// Whether the sections are alike in what is asked for, and the files are the same.
    pub(super) fn is_alike(&self, alike: impl FnOnce(&S) -> bool) -> bool {
        alike(&self.sections) && self.files.are_unchanged()
    }

    pub(super) const fn sections(&self) -> &S {
        &self.sections
    }

    pub(super) const fn files(&self) -> &Files {
        &self.files
    }
}
