//! `${NAME}`, `${NAME:-default}` and `$${` in the strings of a file that has been parsed already, so
//! that no value can change what the file means.

use super::tree::{Node, Path, Value};
use super::{Flaws, Problem};

/// Puts values in place of references, everywhere in the tree.
pub(super) fn expand(tree: &mut Node, lookup: &dyn Fn(&str) -> Option<String>, flaws: &mut Flaws) {
    tree.walk(&Path::default(), &mut |node, path| {
        let Value::Text(text) = &node.value else { return };
        if !text.contains("${") {
            return;
        }
        match substitute(text, lookup) {
            Ok(expanded) => node.value = Value::Expanded(expanded),
            Err(message) => {
                flaws.tell(Problem::new(path.to_string(), node.span.clone(), message));
                flaws.unsound(path);
                node.take_out();
            }
        }
    });
}

fn substitute(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let (reference, after) =
            after.split_once('}').ok_or("`${` without its `}`; a plain `${` is written `$${`")?;
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let valid = !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
        if !valid {
            return Err(format!("`${{{name}}}` names no environment variable"));
        }
        // Set but empty counts as not set, as it does in a shell's `:-`.
        let value = lookup(name).filter(|value| !value.is_empty());
        match value.as_deref().or(default) {
            Some(value) => out.push_str(value),
            None => {
                return Err(format!(
                    "the environment variable {name} is not set; `${{{name}:-…}}` gives a default"
                ));
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<String, String> {
        substitute(text, &|name| match name {
            "HOME_" => Some("/here".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOME_}".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn references_are_replaced_where_they_stand() {
        assert_eq!(with("${HOME_}/a:${HOME_}").as_deref(), Ok("/here/a:/here"));
        assert_eq!(with("no reference $HOME_ {}").as_deref(), Ok("no reference $HOME_ {}"));
    }

    #[test]
    fn a_default_stands_in_for_what_is_not_set_or_empty() {
        assert_eq!(with("${NONE:-a}${EMPTY:-b}${HOME_:-c}${NONE:-}").as_deref(), Ok("ab/here"));
    }

    #[test]
    fn what_is_not_set_is_an_error_that_names_it() {
        assert!(with("${NONE}").is_err_and(|message| message.contains("NONE")));
        assert!(with("${EMPTY}").is_err());
    }

    #[test]
    fn a_doubled_dollar_is_a_plain_one() {
        assert_eq!(with("$${HOME_}").as_deref(), Ok("${HOME_}"));
    }

    #[test]
    fn a_value_is_not_expanded_again() {
        assert_eq!(with("${NESTED}").as_deref(), Ok("${HOME_}"));
    }

    #[test]
    fn what_is_no_name_is_an_error() {
        for text in ["${", "${}", "${a b}", "${1A}", "${HOME_"] {
            assert!(with(text).is_err(), "{text}");
        }
    }
}
