use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Notices that files change. It looks at what their paths lead to, so that a link that leads elsewhere is a change, as
/// Kubernetes changes the files of a `ConfigMap`; and it needs nothing of the file system, so that it works on any.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// What was there when the files were last read.
    read: Look,
    /// What was there a moment ago.
    last: Look,
}

/// What files looked like at one moment; none where there was none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Look(BTreeMap<PathBuf, Option<Stamp>>);

/// Which file it is, how long, and when it was last written to or renamed, in nanoseconds.
type Stamp = (u64, u64, u64, [i64; 4]);

impl Look {
    pub(super) fn at(files: Vec<PathBuf>) -> Self {
        let stamp = |file: &PathBuf| {
            let it = fs::metadata(file).ok()?;
            let times = [it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec()];
            Some((it.dev(), it.ino(), it.size(), times))
        };
        Self(files.into_iter().map(|file| (file.clone(), stamp(&file))).collect())
    }
}

impl Watch {
    /// The files are being read, and look like this.
    pub(super) fn begin(&mut self, look: Look) {
        self.read = look;
    }

    /// Some were read that were not known before.
    pub(super) fn adopt(&mut self, look: Look) {
        for (file, stamp) in look.0 {
            self.read.0.entry(file).or_insert(stamp);
        }
    }

    /// Whether they differ from what was read, and have for as long as it takes to look twice: one that is being written
    /// is not read halfway.
    pub(super) fn settles(&mut self, look: Look) -> bool {
        let differs = look.0.iter().any(|(file, stamp)| self.read.0.get(file) != Some(stamp));
        let settles = differs && look == self.last;
        self.last = look;
        settles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(size: u64) -> Look {
        Look([(PathBuf::from("a"), Some((1, 1, size, [0; 4])))].into())
    }

    #[test]
    fn a_change_counts_when_it_has_been_seen_twice() {
        let mut watch = Watch::default();
        watch.begin(look(1));
        let seen = [1, 1, 2, 3, 3].map(|size| watch.settles(look(size)));
        assert_eq!(seen, [false, false, false, false, true]);
    }

    #[test]
    fn what_was_read_is_no_change_even_if_it_was_wrong() {
        let mut watch = Watch::default();
        watch.begin(look(1));
        watch.settles(look(2));
        watch.begin(look(2));
        assert!(!watch.settles(look(2)));
    }

    #[test]
    fn what_is_undone_at_once_is_no_change() {
        let mut watch = Watch::default();
        watch.begin(look(1));
        watch.settles(look(2));
        assert!(!watch.settles(look(1)) && !watch.settles(look(1)));
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change_and_so_is_a_file_that_is_gone() {
        let folder = std::env::temp_dir().join(format!("portcullis-watch-{}", std::process::id()));
        fs::create_dir_all(folder.join("one")).unwrap();
        fs::create_dir_all(folder.join("two")).unwrap();
        fs::write(folder.join("one/file"), "same").unwrap();
        fs::write(folder.join("two/file"), "same").unwrap();
        std::os::unix::fs::symlink("one", folder.join("data")).unwrap();
        let at = || Look::at(vec![folder.join("data/file")]);
        let before = at();
        assert_eq!(at(), before);

        std::os::unix::fs::symlink("two", folder.join("new")).unwrap();
        fs::rename(folder.join("new"), folder.join("data")).unwrap();
        let after = at();
        fs::remove_dir_all(&folder).unwrap();

        assert_ne!(after, before);
        assert_ne!(at(), after);
    }
}
