use std::collections::BTreeSet;

use super::Problem;
use super::tree::{Node, Path};

/// What is wrong in a file, and what cannot be judged therefore.
#[derive(Debug, Default)]
pub(crate) struct Flaws {
    problems: Vec<Problem>,
    /// The sections that are not as they were meant, such as `upstream.photos` and `route[1]`.
    unsound: BTreeSet<String>,
    /// The lists that lack items, and where in the file those stand that they have.
    lists: Vec<(String, Vec<usize>)>,
}

impl Flaws {
    pub(crate) fn are_none(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn tell(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// What stands there has been taken out, or is missing, or is not what was meant.
    pub(super) fn unsound(&mut self, path: &Path) {
        self.unsound.insert(path.section().to_string());
    }

    /// Notes which items of lists are gone, since those that follow are counted without them.
    pub(super) fn number(&mut self, tree: &Node) {
        tree.lists_with_gaps(&Path::default(), &mut |path, left| {
            self.lists.push((path.to_string(), left));
        });
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// All problems, with those that were found in what was sound.
    pub(crate) fn and(mut self, found: Vec<Problem>) -> Vec<Problem> {
        for problem in found {
            let problem = problem.renumbered(|text| self.renumber(text));
            // A name of nothing is wrong wherever it stands, unless what has this name is just not sound.
            let subject = problem.refers().unwrap_or_else(|| problem.key());
            if !self
                .unsound
                .iter()
                .any(|section| is_below(section, subject) || is_below(subject, section))
            {
                self.problems.push(problem);
            }
        }
        self.problems
    }

    fn renumber(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (list, left) in &self.lists {
            let mut done = String::new();
            let mut rest = text.as_str();
            let start = format!("{list}[");
            while let Some((before, after)) = rest.split_once(&start) {
                let end = after.find(']').unwrap_or_default();
                let (index, tail) = after.split_at(end);
                let real = index.parse().ok().and_then(|index: usize| left.get(index));
                let index = real.map_or_else(|| index.to_owned(), ToString::to_string);
                done += &format!("{before}{start}{index}");
                rest = tail;
            }
            text = done + rest;
        }
        text
    }
}

/// Whether `key` is `above`, or within it.
fn is_below(key: &str, above: &str) -> bool {
    let rest = key.strip_prefix(above);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
