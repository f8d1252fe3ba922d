//! What the `Connection` lines of a message ask for.

use std::mem;

use http::header::{CONNECTION, HeaderMap, HeaderValue};

use super::field::Field;
use super::list::{elements, token};
use super::{HopByHop, Ignored, Violation};

/// The sum of all `Connection` lines.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) upgrade: bool,
    pub(super) first_violation: Option<Violation>,
    pub(super) ignored: Ignored,
    nominations: usize,
}

impl Connection {
    /// Reads all lines, and changes nothing.
    pub(super) fn read(policy: &HopByHop, headers: &HeaderMap) -> Self {
        let mut connection = Self::default();
        for element in headers.get_all(CONNECTION).iter().flat_map(elements) {
            match Meaning::of(element, policy) {
                Meaning::Upgrade => connection.upgrade = true,
                Meaning::OfNoConsequence => {}
                Meaning::Nomination(_) if connection.nominations < policy.max_nominations => {
                    connection.nominations += 1;
                }
                Meaning::Nomination(_) => connection.ignore(Violation::TooManyNominations),
                Meaning::Violation(violation) => connection.ignore(violation),
            }
        }
        connection
    }

    fn ignore(&mut self, violation: Violation) {
        self.first_violation.get_or_insert(violation);
        self.ignored.count(violation);
    }

    /// Removes what is nominated, as far as the policy obeys, and says how many fields that were.
    pub(super) fn remove_nominated(&self, policy: &HopByHop, headers: &mut HeaderMap) -> u64 {
        let (mut left, mut removed) = (self.nominations, 0);
        while left > 0 {
            // Names are read from a line of the very map that changes. Taken out, the line is neither borrowed nor
            // copied; and each round has a nomination to obey, so there are no more rounds than nominations.
            let line = headers.iter_mut().find_map(|(name, line)| {
                let nominates = name == CONNECTION
                    && elements(line).any(|e| Meaning::of(e, policy).nominated().is_some());
                nominates.then(|| mem::replace(line, HeaderValue::from_static("")))
            });
            let Some(line) = line else { return removed };

            let names = elements(&line).filter_map(|e| Meaning::of(e, policy).nominated());
            for name in names.take(left) {
                removed += u64::from(headers.remove(name).is_some());
                left -= 1;
            }
        }
        removed
    }
}

/// What one element of a `Connection` line means.
enum Meaning<'a> {
    Upgrade,
    /// `close`, and fields that are removed anyway or have a rule of their own.
    OfNoConsequence,
    Nomination(&'a str),
    Violation(Violation),
}

impl<'a> Meaning<'a> {
    fn of(element: &'a [u8], policy: &HopByHop) -> Self {
        let Some(name) = token(element) else {
            return Self::Violation(Violation::MalformedNomination);
        };
        match Field::named(name) {
            Some(Field::Upgrade) => Self::Upgrade,
            Some(_) => Self::OfNoConsequence,
            None if name.eq_ignore_ascii_case("close") => Self::OfNoConsequence,
            None if policy.protects(name) => Self::Violation(Violation::ProtectedNomination),
            None => Self::Nomination(name),
        }
    }

    const fn nominated(self) -> Option<&'a str> {
        if let Self::Nomination(name) = self { Some(name) } else { None }
    }
}
