use std::fs;
use std::path::Path as FilePath;

use super::recover::recover;
use super::tree::{Format, Node};
use super::written::written;
use super::{Config, Flaws, Folder, Problem, Problems, environment};

/// A configuration file, as far as it can be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reading {
    /// What is sound of it. The rest is as if it were not there.
    pub(crate) config: Config,
    /// What is not.
    pub(crate) flaws: Flaws,
    /// What the file says, but for its secrets.
    pub(crate) written: serde_json::Value,
}

/// Reads a configuration file: TOML or YAML, by the end of its name. Its text is told, too.
///
/// # Errors
///
/// When it cannot be read, or is neither. What is wrong in it otherwise is in the [`Reading`], and told by the
/// [`Plan`](crate::plan::Plan) that is made of it.
pub fn load(file: &FilePath) -> Result<(Reading, String), Problems> {
    let format = Format::of(file).ok_or_else(|| {
        Problems::of_file(file, "a configuration file is TOML or YAML: `.toml`, `.yaml` or `.yml`")
    })?;
    let text = fs::read_to_string(file).map_err(|error| Problems::of_file(file, &error))?;
    let lookup = |name: &str| std::env::var(name).ok();
    let mut reading =
        read(&text, format, &lookup).map_err(|found| Problems::new(file, &text, found))?;
    reading.config.folder = Folder::new(file.parent().unwrap_or_else(|| FilePath::new("")));
    Ok((reading, text))
}

/// Reads the text of a configuration file, with `lookup` for the environment.
///
/// # Errors
///
/// When it is none of this format, or no table.
pub fn read(
    text: &str,
    format: Format,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Reading, Vec<Problem>> {
    let mut tree = Node::parse(text, format)?;
    let written = written(&tree);
    let mut flaws = Flaws::default();
    environment::expand(&mut tree, lookup, &mut flaws);
    match recover(&mut tree, &mut flaws) {
        Some(config) => {
            flaws.number(&tree);
            Ok(Reading { config, flaws, written })
        }
        None => Err(flaws.into_problems()),
    }
}
