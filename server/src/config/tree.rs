//! What a file says, whatever it is written in: values with the place of each, and of each key.

mod toml;
mod yaml;
mod path;
mod error;
mod deserialize;

pub(super) use error::{Error, Kind};
pub(super) use path::{Path, Segment};

use std::ops::Range;

use super::Problem;

/// What configuration files are written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// TOML 1.1.
    Toml,
    /// YAML 1.2, one document without tags, whose keys are text.
    Yaml,
}

impl Format {
    /// That of a file, by the end of its name: `.toml`, `.yaml` or `.yml`.
    #[must_use]
    pub fn of(file: &std::path::Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// A value at its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    /// A text that the environment had a part in. Where a number is needed it may be one.
    Expanded(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// Something was wrong with what stood here. It has been told, and nobody looks at it any more.
    Wrong,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Range<usize>,
    pub(super) node: Node,
}

impl Node {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Where it is none of this format.
    pub(super) fn parse(text: &str, format: Format) -> Result<Self, Vec<Problem>> {
        match format {
            Format::Toml => toml::parse(text),
            Format::Yaml => yaml::parse(text),
        }
    }

    pub(super) fn is_wrong(&self) -> bool {
        matches!(self.value, Value::Wrong)
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    fn child(&self, segment: &Segment) -> Option<&Self> {
        match (&self.value, segment) {
            (Value::Table(_), Segment::Key(key)) => self.entry(key).map(|entry| &entry.node),
            (Value::List(items), Segment::Index(index)) => items.get(*index),
            _ => None,
        }
    }

    fn child_mut(&mut self, segment: &Segment) -> Option<&mut Self> {
        match (&mut self.value, segment) {
            (Value::Table(entries), Segment::Key(key)) => {
                entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.node)
            }
            (Value::List(items), Segment::Index(index)) => items.get_mut(*index),
            _ => None,
        }
    }

    pub(super) fn at(&self, path: &Path) -> Option<&Self> {
        path.segments().iter().try_fold(self, |node, segment| node.child(segment))
    }

    pub(super) fn at_mut(&mut self, path: &Path) -> Option<&mut Self> {
        path.segments().iter().try_fold(self, |node, segment| node.child_mut(segment))
    }

    /// Where the last key of a path stands.
    pub(super) fn place_of_key(&self, path: &Path) -> Option<Range<usize>> {
        let (last, _) = path.segments().split_last()?;
        match (last, self.at(&path.parent()?)) {
            (Segment::Key(key), Some(table)) => table.entry(key).map(|entry| entry.place.clone()),
            (Segment::Index(_), _) | (_, None) => None,
        }
    }

    /// Nobody is to look at what stands here any more.
    pub(super) fn take_out(&mut self) {
        self.value = Value::Wrong;
    }

    /// Calls `tell` with the path of every list that lacks items, and where those stand that it has.
    pub(super) fn lists_with_gaps(&self, path: &Path, tell: &mut dyn FnMut(&Path, Vec<usize>)) {
        match &self.value {
            Value::List(items) => {
                let sound = items.iter().enumerate().filter(|(_, item)| !item.is_wrong());
                let left: Vec<_> = sound.map(|(index, _)| index).collect();
                if left.len() < items.len() {
                    tell(path, left);
                }
                for (index, item) in items.iter().enumerate() {
                    item.lists_with_gaps(&path.item(index), tell);
                }
            }
            Value::Table(entries) => {
                for entry in entries {
                    entry.node.lists_with_gaps(&path.key(&entry.key), tell);
                }
            }
            _ => {}
        }
    }

    /// Whether something at or below this was wrong.
    pub(super) fn has_wrong(&self) -> bool {
        match &self.value {
            Value::Wrong => true,
            Value::List(items) => items.iter().any(Self::has_wrong),
            Value::Table(entries) => entries.iter().any(|entry| entry.node.has_wrong()),
            _ => false,
        }
    }

    /// Calls `change` with every value below and this, and its path.
    pub(super) fn walk(&mut self, path: &Path, change: &mut dyn FnMut(&mut Self, &Path)) {
        change(self, path);
        match &mut self.value {
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    item.walk(&path.item(index), change);
                }
            }
            Value::Table(entries) => {
                for entry in entries {
                    entry.node.walk(&path.key(&entry.key), change);
                }
            }
            _ => {}
        }
    }
}
