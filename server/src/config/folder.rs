use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The folder that relative paths of a configuration file start from. It remembers the paths that were asked for, since
/// what they lead to belongs to the configuration. Clones remember the same.
#[derive(Clone, Default)]
pub struct Folder {
    path: PathBuf,
    named: Arc<Mutex<Files>>,
}

impl Folder {
    /// The folder at `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), named: Arc::default() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file that the configuration names.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = self.path.join(path);
        // Before whoever asks reads it: a change between the two is seen later, and not missed.
        let content = fs::read(&path).ok();
        self.named().0.insert(path.clone(), content);
        path
    }

    /// The files that were named since this was last called.
    #[must_use]
    pub fn take(&self) -> Files {
        mem::take(&mut *self.named())
    }

    fn named(&self) -> MutexGuard<'_, Files> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// What has been asked for says nothing about the folder.
impl PartialEq for Folder {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

/// Files and what they held, if they could be read.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Files(BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Files {
    /// Whether each holds what it held.
    #[must_use]
    pub fn are_unchanged(&self) -> bool {
        self.0.iter().all(|(path, content)| fs::read(path).ok() == *content)
    }

    /// Adds those of `others` that are not here.
    pub(crate) fn add(&mut self, others: &Self) {
        for (path, content) in &others.0 {
            self.0.entry(path.clone()).or_insert_with(|| content.clone());
        }
    }

    /// Where they are.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
}

/// Shows the paths, never what is there.
impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_something_else_or_is_gone_is_not_unchanged() {
        let path = std::env::temp_dir().join(format!("portcullis-folder-{}", std::process::id()));
        fs::write(&path, "one").unwrap();
        let folder = Folder::new(Path::new(""));
        folder.join(&path);
        let files = folder.take();
        assert!(files.are_unchanged());

        fs::write(&path, "two").unwrap();
        assert!(!files.are_unchanged());
        fs::write(&path, "one").unwrap();
        assert!(files.are_unchanged(), "it is what it says that counts");
        fs::remove_file(&path).unwrap();
        assert!(!files.are_unchanged());
    }

    #[test]
    fn what_was_taken_is_not_taken_again() {
        let folder = Folder::new(Path::new("/nowhere"));
        folder.join("a");
        assert_eq!(folder.take().paths().collect::<Vec<_>>(), [Path::new("/nowhere/a")]);
        assert_eq!(folder.take(), Files::default());
    }
}
