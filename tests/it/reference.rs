//! The reference of the configuration, made of what the types say.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use portcullis::config::schema;
use portcullis::plan::NEEDS_RESTART;
use portcullis_tests::generated;
use serde_json::Value;

/// A section: the name of what the schema defines, and where it stands first, as `upstream.NAME.timeouts`.
type Section = (String, String);

struct Reference {
    root: Value,
    /// What the files that are shown have, by section and key.
    examples: BTreeMap<(String, String), String>,
}

impl Reference {
    fn new() -> Self {
        let mut reference = Self { root: schema(), examples: BTreeMap::new() };
        let readme = include_str!("../../server/README.md");
        let shown = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let mut files: Vec<_> = shown.map(str::to_owned).collect();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/examples");
        let mut paths: Vec<_> =
            fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        paths.sort();
        let toml = paths.iter().filter(|path| path.extension().is_some_and(|end| end == "toml"));
        files.extend(toml.map(|path| fs::read_to_string(path).unwrap()));
        let root = reference.root.clone();
        for file in files {
            let file: toml::Table = file.parse().unwrap();
            reference.learn(&toml::Value::Table(file), &root, "");
        }
        reference
    }

    /// Notes the values of a file.
    fn learn(&mut self, value: &toml::Value, described: &Value, section: &str) {
        let (name, described) = self.resolved(described, section);
        match value {
            toml::Value::Table(table) => {
                for (key, value) in table {
                    let own = described["properties"].get(key).cloned();
                    let of_key = own.or_else(|| described.get("additionalProperties").cloned());
                    let Some(of_key) = of_key.filter(Value::is_object) else { continue };
                    let text = value.to_string();
                    let fits = text.chars().count() <= LONGEST && !text.contains('|');
                    if described["properties"].get(key).is_some() && fits {
                        self.examples.entry((name.clone(), key.clone())).or_insert(text);
                    }
                    self.learn(value, &of_key, &name);
                }
            }
            toml::Value::Array(items) => {
                let of_items = described["items"].clone();
                items.iter().for_each(|item| self.learn(item, &of_items, &name));
            }
            _ => {}
        }
    }

    /// What a description refers to, if it does: its name, and itself.
    fn resolved(&self, described: &Value, section: &str) -> (String, Value) {
        let alternatives = described["anyOf"].as_array().cloned().unwrap_or_default();
        let referring = std::iter::once(described.clone()).chain(alternatives);
        let mut names =
            referring.filter_map(|one| Some(one["$ref"].as_str()?.rsplit('/').next()?.to_owned()));
        match names.next() {
            Some(name) => (name.clone(), self.root["$defs"][&name].clone()),
            None => (section.to_owned(), described.clone()),
        }
    }

    /// All sections, each after the one that it is in.
    fn sections(&self) -> Vec<(String, Value, String)> {
        let mut found = vec![(String::new(), self.root.clone(), String::new())];
        let mut seen = BTreeSet::new();
        let mut waiting: VecDeque<_> = found.clone().into();
        while let Some((_, section, place)) = waiting.pop_front() {
            for (key, described) in section["properties"].as_object().into_iter().flatten() {
                for (name, more) in self.referred(described) {
                    let definition = self.root["$defs"][&name].clone();
                    let place =
                        format!("{place}{}{key}{more}", if place.is_empty() { "" } else { "." });
                    if definition.get("properties").is_some() && seen.insert(name.clone()) {
                        found.push((name.clone(), definition.clone(), place.clone()));
                        waiting.push_back((name, definition, place));
                    }
                }
            }
        }
        found
    }

    /// What a key refers to, and what its place has besides: `.NAME` of one by a name.
    fn referred(&self, described: &Value) -> Vec<Section> {
        let mut found = Vec::new();
        if let Some(name) = described["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            found.push((name.to_owned(), String::new()));
            let definition = &self.root["$defs"][name];
            if definition.get("properties").is_none() {
                found.extend(self.referred(definition));
            }
        }
        for of in ["anyOf", "oneOf"] {
            let alternatives = described[of].as_array().into_iter().flatten();
            found.extend(alternatives.flat_map(|one| self.referred(one)));
        }
        for (of, more) in [("items", "[]"), ("additionalProperties", ".NAME")] {
            if described[of].is_object() {
                let inner = self.referred(&described[of]).into_iter();
                found.extend(inner.map(|(name, place)| (name, format!("{more}{place}"))));
            }
        }
        for (key, inner) in described["properties"].as_object().into_iter().flatten() {
            found.extend(
                self.referred(inner)
                    .into_iter()
                    .map(|(name, place)| (name, format!(".{key}{place}"))),
            );
        }
        found
    }

    /// What may stand there, in words.
    fn kind(&self, described: &Value) -> String {
        let alternatives = ["anyOf", "oneOf"].iter().find_map(|of| described[of].as_array());
        if let Some(name) = described["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            let definition = &self.root["$defs"][name];
            return match definition.get("properties") {
                Some(_) => format!("[{name}](#{})", name.to_lowercase()),
                None => self.kind(definition),
            };
        }
        if let Some(alternatives) = alternatives {
            let mut kinds: Vec<_> = alternatives
                .iter()
                .filter(|one| one["type"] != "null" && one["pattern"] != REFERENCE)
                .map(|one| self.kind(one))
                .collect();
            kinds.dedup();
            return kinds.join(", ");
        }
        if let Some(word) = described["const"].as_str() {
            return format!("`\"{word}\"`");
        }
        if let Some(words) = described["enum"].as_array() {
            return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        }
        if described["writeOnly"] == true {
            return "secret".to_owned();
        }
        let examples = described["examples"].to_string();
        let kinds = match &described["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            Value::String(kind) => vec![&**kind],
            _ => Vec::new(),
        };
        match kinds.iter().find(|kind| **kind != "null").copied() {
            Some("array") => format!("list of {}", self.kind(&described["items"])),
            Some("object") => match described["properties"].as_object() {
                Some(inner) => {
                    let each =
                        inner.iter().map(|(key, inner)| format!("`{key}`: {}", self.kind(inner)));
                    format!("{{ {} }}", each.collect::<Vec<_>>().join(", "))
                }
                None if described["additionalProperties"].is_object() => {
                    format!("{} by name", self.kind(&described["additionalProperties"]))
                }
                None => "table".to_owned(),
            },
            Some("string") if examples.contains("250ms") => "duration".to_owned(),
            Some(_) if examples.contains("KiB") || examples.contains("MiB") => "size".to_owned(),
            Some("integer") => "whole number".to_owned(),
            Some("boolean") => "`true`, `false`".to_owned(),
            Some("string") => "text".to_owned(),
            Some(other) => other.to_owned(),
            None => "any".to_owned(),
        }
    }

    fn table(&self, (name, section, place): &(String, Value, String)) -> String {
        let required: Vec<_> = section["required"].as_array().into_iter().flatten().collect();
        let mut table =
            "| key | type | default | example | reload | |\n|---|---|---|---|---|---|\n".to_owned();
        for (key, described) in section["properties"].as_object().into_iter().flatten() {
            let default = match described.get("default") {
                Some(default) => format!("`{default}`"),
                None if required.iter().any(|one| *one == key) => "needed".to_owned(),
                None => "–".to_owned(),
            };
            let example = self.examples.get(&(name.clone(), key.clone()));
            let example = example.map_or_else(|| "–".to_owned(), |example| format!("`{example}`"));
            let path = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            let fixed = |one: &&str| path == **one || path.starts_with(&format!("{one}."));
            let reload = if NEEDS_RESTART.iter().any(fixed) { "restart" } else { "yes" };
            let kind = self.kind(described);
            let says = prose(described);
            table += &format!("| `{key}` | {kind} | {default} | {example} | {reload} | {says} |\n");
        }
        table
    }
}

/// What is said of it, in a cell.
fn prose(described: &Value) -> String {
    let text = described["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

const LONGEST: usize = 60;
/// How the schema says that the environment may stand there.
const REFERENCE: &str = r"\$\{";

#[test]
fn the_reference_says_what_the_types_say() {
    let reference = Reference::new();
    let mut text = String::new();
    for section in reference.sections() {
        let (name, described, place) = &section;
        match &**name {
            "" => text += "## The file\n\n",
            name => text += &format!("## {name}\n\n`{place}`: {}\n\n", prose(described)),
        }
        text += &reference.table(&section);
        text.push('\n');
    }

    generated("server/docs/config.md", &text);
}

#[test]
fn every_key_says_what_it_is() {
    let reference = Reference::new();
    let sections = reference.sections();
    assert!(sections.len() > 40, "{}", sections.len());
    let mut silent = Vec::new();
    for (name, section, _) in sections {
        for (key, described) in section["properties"].as_object().into_iter().flatten() {
            let (_, referred) = reference.resolved(described, "");
            if prose(described).is_empty() && prose(&referred).is_empty() {
                silent.push(format!("{name}.{key}"));
            }
        }
    }

    assert!(silent.is_empty(), "{silent:?}");
}
