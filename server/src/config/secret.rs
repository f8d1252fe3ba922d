use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Folder;

/// A value that is never printed: in the file itself, or in a file of its own by `file:PATH`.
#[derive(Clone, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(from = "String")]
#[schemars(with = "String", extend("writeOnly" = true))]
pub struct Secret(Source);

#[derive(Clone, Eq, PartialEq)]
enum Source {
    Text(String),
    File(PathBuf),
}

impl Secret {
    /// The value. A file's last line break does not belong to it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or there is no value. The message names the file.
    pub fn read(&self, folder: &Folder) -> Result<String, String> {
        let value = match &self.0 {
            Source::Text(text) => text.clone(),
            Source::File(path) => {
                let path = folder.join(path);
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)
            }
        };
        if value.is_empty() { Err("the secret is empty".to_owned()) } else { Ok(value) }
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(match text.strip_prefix("file:") {
            Some(path) => Source::File(path.into()),
            None => Source::Text(text),
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
