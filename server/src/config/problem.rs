use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One thing that is wrong in a configuration file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    key: String,
    span: Option<Range<usize>>,
    message: String,
    refers: Option<String>,
}

impl Problem {
    /// What is wrong with `key`, which stands at `span` of the file, and what would be right.
    pub fn new(
        key: impl Into<String>,
        span: impl Into<Option<Range<usize>>>,
        message: impl Into<String>,
    ) -> Self {
        Self { key: key.into(), span: span.into(), message: message.into(), refers: None }
    }

    /// The same, found because there is no section of this name.
    pub(crate) fn referring_to(mut self, section: String) -> Self {
        self.refers = Some(section);
        self
    }

    pub(super) fn refers(&self) -> Option<&str> {
        self.refers.as_deref()
    }

    /// The same, with other numbers in its key and its message.
    pub(super) fn renumbered(self, renumber: impl Fn(&str) -> String) -> Self {
        Self { key: renumber(&self.key), message: renumber(&self.message), ..self }
    }

    /// The key, as `route[1].upstream`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// All that is wrong in a configuration file, a line each: `file:line:column: key: what and why`.
#[derive(Clone, Debug)]
pub struct Problems {
    file: PathBuf,
    lines: Vec<String>,
}

impl Problems {
    /// Problems of the file of this name and text, in the order of its lines.
    #[must_use]
    pub fn new(file: &Path, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        let line = |problem: Problem| {
            let mut line = file.display().to_string();
            if let Some(before) = problem.span.and_then(|span| text.get(..span.start)) {
                let (above, left) = before.rsplit_once('\n').unwrap_or(("", before));
                let above =
                    if before.len() == left.len() { 0 } else { above.matches('\n').count() + 1 };
                line += &format!(":{}:{}", above + 1, left.chars().count() + 1);
            }
            if !problem.key.is_empty() {
                line += &format!(": {}", problem.key);
            }
            line + ": " + &problem.message
        };
        Self { file: file.to_owned(), lines: problems.into_iter().map(line).collect() }
    }

    /// A file that cannot be read at all, and why.
    #[must_use]
    pub fn of_file(file: &Path, why: impl fmt::Display) -> Self {
        Self { file: file.to_owned(), lines: vec![format!("{}: {why}", file.display())] }
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

impl Error for Problems {}

/// The name that was most likely meant, if any was.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|known| (strsim::damerau_levenshtein(name, known), known));
    let near = near.filter(|(distance, known)| *distance <= 2.max(known.len() / 3));
    near.min().map(|(_, known)| known)
}
