//! Finds all that is wrong, though a type says only what is the first: what is wrong is told, taken out of the tree, and the
//! rest is read again.

use serde::de::DeserializeOwned;

use super::tree::{Error, Kind, Node, Path};
use super::{Flaws, Problem, nearest};

/// What is left when all that is wrong has been taken out, if anything is.
pub(super) fn recover<T: DeserializeOwned>(tree: &mut Node, flaws: &mut Flaws) -> Option<T> {
    loop {
        match tree.read() {
            Ok(value) => return Some(value),
            Err(error) => {
                let path = tell(tree, &error, flaws);
                take_out(tree, &path)?;
                flaws.unsound(&path);
            }
        }
    }
}

/// Tells of an error, unless it follows from what has been told, and where in the tree it is.
fn tell(tree: &Node, error: &Error, flaws: &mut Flaws) -> Path {
    let path = error.path();
    let Some(node) = tree.at(&path) else { return path };
    match &error.kind {
        Kind::Unknown { key, known } => {
            // Where the value was looked at as a whole, the place of the key is still to be found.
            let (path, place) = match (node.entry(key), tree.place_of_key(&path)) {
                (Some(entry), _) => (path.key(key), Some(entry.place.clone())),
                (None, place) => (path, place),
            };
            flaws.tell(Problem::new(path.to_string(), place, error.to_string()));
            // What was meant is not as it was meant, either.
            let meant = nearest(key, known.iter().copied()).zip(path.parent());
            if let Some((meant, above)) = meant {
                flaws.unsound(&above.key(meant));
            }
            path
        }
        Kind::Missing(key) => {
            if node.entry(key).is_none() {
                let span = node.span.clone();
                flaws.tell(Problem::new(path.to_string(), span, error.to_string()));
            }
            path
        }
        Kind::Wrong(message) => {
            if !node.has_wrong() {
                flaws.tell(Problem::new(path.to_string(), node.span.clone(), message));
            }
            path
        }
    }
}

/// Takes out what stands there, or else what is around it: each time there is less to be wrong.
fn take_out(tree: &mut Node, path: &Path) -> Option<()> {
    let mut path = path.clone();
    loop {
        if let Some(node) = tree.at_mut(&path).filter(|node| !node.is_wrong()) {
            node.take_out();
            return Some(());
        }
        path = path.parent()?;
    }
}
