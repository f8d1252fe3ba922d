use std::fs;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, Deserializer};

use super::{Config, Problem, Problems, environment};

/// Reads a configuration file.
///
/// # Errors
///
/// Everything that can be told from the file alone. What one section says of another is checked when
/// a [`Plan`](crate::plan::Plan) is made of it.
pub fn load(file: &Path) -> Result<(Config, String), Problems> {
    let text = fs::read_to_string(file).map_err(|error| Problems::unreadable(file, &error))?;
    let lookup = |name: &str| std::env::var(name).ok();
    match parse(&text, &lookup) {
        Ok(mut config) => {
            config.folder = file.parent().map(Path::to_owned).unwrap_or_default();
            Ok((config, text))
        }
        Err(problems) => Err(Problems::new(file, &text, problems)),
    }
}

/// Reads the text of a configuration file, with `lookup` for the environment.
///
/// # Errors
///
/// As [`load`].
pub fn parse(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Config, Vec<Problem>> {
    let mut table = DeTable::parse(text)
        .map_err(|error| vec![Problem::new("", error.span(), error.message().trim())])?;
    let mut problems = Vec::new();
    environment::expand(&mut table, lookup, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }

    let mut track = serde_path_to_error::Track::new();
    let deserializer =
        serde_path_to_error::Deserializer::new(Deserializer::from(table), &mut track);
    Config::deserialize(deserializer).map_err(|error| {
        let key = track.path().to_string().replace(SPANNED, "");
        let key = if key == "." { String::new() } else { key };
        let message = with_suggestion(&without_value(error.message()));
        vec![Problem::new(key, error.span(), message)]
    })
}

/// What `toml::Spanned` adds to the path of a key.
const SPANNED: &str = ".$__serde_spanned_private_value";

/// Serde quotes what it found instead of what it expected, and that may be a secret.
fn without_value(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((found, expected)) if message.starts_with("invalid ") => {
            let kind = found.split(['`', '"']).next().unwrap_or_default().trim_end();
            format!("{kind}, expected {expected}")
        }
        _ => message.to_owned(),
    }
}

/// Serde lists what is known after what is not; the nearest of it is most likely what was meant.
fn with_suggestion(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    match names.next().and_then(|unknown| nearest(unknown, names)) {
        Some(known) if message.starts_with("unknown") => {
            format!("{message}; did you mean `{known}`?")
        }
        _ => message.to_owned(),
    }
}

/// The name that was most likely meant, if any was.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|known| (strsim::damerau_levenshtein(name, known), known));
    let near = near.filter(|(distance, known)| *distance <= 2.max(known.len() / 3));
    near.min().map(|(_, known)| known)
}
