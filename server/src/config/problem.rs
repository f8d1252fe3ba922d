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
}

impl Problem {
    /// What is wrong with `key`, which stands at `span` of the file, and what would be right.
    pub fn new(
        key: impl Into<String>,
        span: impl Into<Option<Range<usize>>>,
        message: impl Into<String>,
    ) -> Self {
        Self { key: key.into(), span: span.into(), message: message.into() }
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

    /// The file that cannot be read at all.
    #[must_use]
    pub fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        Self { file: file.to_owned(), lines: vec![format!("{}: {error}", file.display())] }
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
